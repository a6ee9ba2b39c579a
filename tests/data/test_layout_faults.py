"""What is ambiguous, incomplete or unreadable about the folders of a release is said, and nothing is lost silently."""

import os
import shutil
from pathlib import Path

import pytest

from earthreason import load_dataset
from earthreason.data.audit.verify import audit
from earthreason.data.omissions import Tolerance
from earthreason.data.sources import open_folder_or_file
from earthreason.data.sources.release import Release, find_release
from earthreason.errors import DataFormatError, DataNotFoundError
from tests.data.releases import fabricate, write_tree


def counts_and_left_out(root):
    source = open_folder_or_file(root, Tolerance(share=1.0))
    loaded = {split: len(list(source.read(split))) for split in source.counts}
    return loaded, list(source.omissions)


def test_two_releases_below_one_folder_are_an_error_that_lists_both(tmp_path):
    fabricate(tmp_path / "old")
    fabricate(tmp_path / "new")
    for read in (find_release, Release, open_folder_or_file, audit):
        with pytest.raises(DataFormatError) as caught:
            read(tmp_path)
        assert str(tmp_path / "old" / "RSReasonSeg" / "train" / "images") in str(caught.value)
        assert str(tmp_path / "new" / "RSReasonSeg" / "train" / "images") in str(caught.value)
        assert "\n" not in str(caught.value)


def test_two_folders_for_one_split_are_an_error_that_lists_both(tmp_path):
    fabricate(tmp_path)
    shutil.copytree(tmp_path / "RSReasonSeg" / "val", tmp_path / "RSReasonSeg" / "Validation")
    with pytest.raises(DataFormatError, match=r"several folders of images for validation: .*Validation.* and .*val"):
        find_release(tmp_path)


def test_an_empty_folder_is_no_second_candidate(tmp_path):
    fabricate(tmp_path, ("images doubled",))
    (tmp_path / "train" / "images").mkdir()
    write_tree(tmp_path, {"train/images/notes.txt": b"moved to train/train"})
    assert counts_and_left_out(tmp_path)[0] == {"train": 4, "validation": 4, "test": 4}


def test_two_links_to_one_folder_are_one_release(tmp_path):
    fabricate(tmp_path / "v1")
    (tmp_path / "current").symlink_to(tmp_path / "v1")
    assert counts_and_left_out(tmp_path)[0] == {"train": 4, "validation": 4, "test": 4}


@pytest.mark.parametrize(("part", "reason"), [("images", "no image"), ("labels", "no label"), ("QAs", "no questions")])
def test_a_split_without_one_of_its_folders_is_left_out_by_name(tmp_path, part, reason):
    fabricate(tmp_path)
    shutil.rmtree(tmp_path / "RSReasonSeg" / "test" / part)
    loaded, left_out = counts_and_left_out(tmp_path)
    assert loaded == {"train": 4, "validation": 4, "test": 0}
    assert [(omission.split, omission.sample, omission.reason) for omission in left_out] == [
        ("test", f"r000{number}", reason) for number in (1, 2, 3, 4)
    ]
    assert f"there is no folder of {part} for {tmp_path}" in left_out[0].message
    with pytest.raises(DataFormatError, match=r"4 of 4 samples of test \(100.0%\).*--max-left-out 1"):
        load_dataset("earthreason", data_dir=tmp_path)
    unpaired = [finding.samples[0] for finding in audit(tmp_path).findings if finding.rule == "unpaired"]
    assert unpaired == [f"test/r000{number}" for number in (1, 2, 3, 4)]


def test_folders_of_no_split_say_so(tmp_path):
    fabricate(tmp_path / "release")
    shutil.move(tmp_path / "release" / "RSReasonSeg" / "test", tmp_path / "release" / "final")
    shutil.rmtree(tmp_path / "release" / "RSReasonSeg")
    with pytest.raises(DataNotFoundError, match="no name says of which split"):
        find_release(tmp_path / "release")


def test_the_name_of_the_given_folder_may_state_the_split(tmp_path):
    fabricate(tmp_path)
    folder = shutil.move(tmp_path / "RSReasonSeg" / "val", tmp_path / "EarthReason_Val")
    assert counts_and_left_out(Path(folder))[0] == {"validation": 4}


def test_a_part_of_a_release_says_what_is_lacking(tmp_path):
    fabricate(tmp_path / "data")
    for split in ("train", "val", "test"):
        shutil.rmtree(tmp_path / "data" / "RSReasonSeg" / split / "QAs")
    with pytest.raises(DataNotFoundError, match="train has images, labels but no QAs"):
        find_release(tmp_path / "data")


def test_links_in_a_circle_end_and_links_to_nowhere_are_left_out(tmp_path):
    made = fabricate(tmp_path)
    root = tmp_path / "RSReasonSeg"
    (root / "again").symlink_to(root)
    (root / "train" / "images" / "self").symlink_to(root / "train" / "images" / "self")
    for name in ("r0001.png", "r0002.png"):
        (root / "train" / "images" / name).unlink()
    (root / "train" / "images" / "r0001.png").symlink_to(tmp_path / "gone.png")
    (root / "train" / "images" / "r0002.png").symlink_to("r0002.png")
    loaded, left_out = counts_and_left_out(tmp_path)
    assert loaded == {"train": 2, "validation": 4, "test": 4}
    assert [omission.sample for omission in left_out] == ["r0001", "r0002"]
    for omission in left_out:
        assert str(root / "train" / "images" / f"{omission.sample}.png") in omission.message
        assert "\n" not in omission.message
    findings = [finding for finding in audit(tmp_path).findings if finding.severity == "error"]
    assert {name for finding in findings for name in finding.samples} == {"train/r0001", "train/r0002"}
    assert made.left_out == set()


def forbid(monkeypatch, folder):
    """Make a folder unlistable, also for root, who runs the tests in some places."""
    real = os.scandir

    def scandir(path):
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_a_folder_of_a_split_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    fabricate(tmp_path)
    folder = tmp_path / "RSReasonSeg" / "val" / "labels"
    forbid(monkeypatch, folder)
    with pytest.raises(DataFormatError, match=f"{folder}: the folder cannot be listed .Permission denied.; make it"):
        find_release(tmp_path)


def test_a_folder_of_others_that_cannot_be_listed_does_not_matter(tmp_path, monkeypatch):
    fabricate(tmp_path)
    (tmp_path / "lost+found").mkdir()
    forbid(monkeypatch, tmp_path / "lost+found")
    assert counts_and_left_out(tmp_path)[0] == {"train": 4, "validation": 4, "test": 4}


def test_the_tree_is_walked_once(tmp_path, monkeypatch):
    fabricate(tmp_path)
    listed = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(str(path)) or real(path))
    Release(tmp_path)
    assert len(listed) == len(set(listed)) == 1 + 1 + 3 + 9


def test_archives_in_a_given_folder_load_and_the_folder_stays_as_it_is(tmp_path):
    fabricate(tmp_path / "data", ("zip of bare folders", "images doubled"))
    before = sorted(tmp_path.rglob("*"))
    splits = load_dataset("earthreason", data_dir=tmp_path / "data")
    assert {split: rows.num_rows for split, rows in splits.items()} == {"train": 4, "validation": 4, "test": 4}
    assert sorted(tmp_path.rglob("*")) == before


def test_one_archive_may_be_given_itself(tmp_path):
    fabricate(tmp_path, ("one zip",))
    assert counts_and_left_out(tmp_path / "data.zip")[0] == {"train": 4, "validation": 4, "test": 4}
    (tmp_path / "notes.zip").write_bytes((tmp_path / "data.zip").read_bytes()[:40])
    with pytest.raises(DataFormatError, match="notes.zip: not a complete archive"):
        open_folder_or_file(tmp_path / "notes.zip")


def test_archives_are_not_read_where_everything_is_unpacked(tmp_path):
    fabricate(tmp_path)
    (tmp_path / "download.zip").write_bytes(b"an interrupted download")
    assert counts_and_left_out(tmp_path)[0] == {"train": 4, "validation": 4, "test": 4}


def test_a_broken_archive_is_named_where_a_split_is_lacking(tmp_path):
    fabricate(tmp_path)
    shutil.rmtree(tmp_path / "RSReasonSeg" / "test")
    (tmp_path / "test.zip").write_bytes(b"an interrupted download")
    with pytest.raises(DataFormatError, match="test.zip: not a complete archive .*; download it again; or move it"):
        open_folder_or_file(tmp_path)
