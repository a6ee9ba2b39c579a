"""Files that an index names are found as people store and link them, and never outside of their folder."""

import shutil

import pytest

from earthreason.data.sources import open_folder_or_file
from earthreason.data.sources.places import NamedFiles, path_below, pictures_in
from earthreason.errors import DataFormatError
from tests.data.fakes import geoseg_bench, reasonseg, risbench


@pytest.mark.parametrize("fake", [geoseg_bench, risbench, reasonseg])
def test_a_snapshot_in_the_cache_of_the_hub_is_read_through_its_links(tmp_path, fake):
    """huggingface_hub keeps each file in blobs/ and links to it from snapshots/COMMIT/."""
    fake.make(tmp_path / "plain")
    snapshot, blobs = tmp_path / "hub/snapshots/0123abc", tmp_path / "hub/blobs"
    blobs.mkdir(parents=True)
    files = [path for path in sorted((tmp_path / "plain").rglob("*")) if path.is_file()]
    for number, path in enumerate(files):
        shutil.copy(path, blobs / f"{number:040x}")
        link = snapshot / path.relative_to(tmp_path / "plain")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blobs / f"{number:040x}")
    plain, linked = open_folder_or_file(tmp_path / "plain"), open_folder_or_file(snapshot)
    assert sum(plain.counts.values()) > 0
    for split in plain.counts:
        assert list(linked.read(split)) == list(plain.read(split))


def test_a_path_inside_the_folder_is_found_however_it_is_written(tmp_path):
    (tmp_path / "set").mkdir()
    expected = tmp_path / "set" / "images" / "a.png"
    for name in ("images/a.png", "images\\a.png", "./images/b/../a.png", str(expected)):
        assert path_below(tmp_path / "set", name, "here") == expected


@pytest.mark.parametrize("name", ["", ".", "..", "a/../../b.png", "/etc/passwd", "C:\\b.png", "a\0b", "../set-2/a.png"])
def test_a_path_that_leads_out_is_refused(tmp_path, name):
    with pytest.raises(DataFormatError, match="here: .* points outside of") as caught:
        path_below(tmp_path / "set", name, "here")
    assert caught.value.reason == "name leads outside"


def test_the_suffix_may_differ_among_pictures_only(tmp_path):
    for name in ("a.JPG", "b.json", "c.png", "c.jpg", "d.txt", "e.5.png"):
        (tmp_path / name).touch()
    pictures, files = pictures_in(tmp_path), NamedFiles(tmp_path)
    assert [pictures.find(name, "").name for name in ("A.png", "a", "c.jpg", "e.5")] == [
        "a.JPG",
        "a.JPG",
        "c.jpg",
        "e.5.png",
    ]
    assert files.find("B.json", "").name == "b.json"
    for found, name, reason in (
        (pictures, "d", "no picture"),
        (pictures, "c.tif", "several pictures"),
        (files, "a.png", "no picture"),
    ):
        with pytest.raises(DataFormatError) as caught:
            found.find(name, "")
        assert caught.value.reason == reason
