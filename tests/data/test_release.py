import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from earthreason.data.audit.verify import audit
from earthreason.data.sources.release import Release, find_release
from earthreason.errors import DataFormatError, DataNotFoundError


def release_records(folder):
    source = Release(folder)
    return {split: source.read(split) for split in source.counts}, source.counts


def left_out_of(release, split="train"):
    """Ids of the samples of a split that load, and what is left out, as (sample, reason, message)."""
    source = Release(release)
    source.tolerance = None
    ids = [record.sample_id for record in source.read(split)]
    return ids, [(omission.sample, omission.reason, omission.message) for omission in source.omissions]


def read_all(release):
    splits, counts = release_records(release)
    return {split: list(records) for split, records in splits.items()}, counts


def test_samples_are_paired_by_stem(release):
    splits, counts = read_all(release)
    assert counts == {"train": 3, "validation": 1, "test": 2}
    first = splits["train"][0]
    assert (first.sample_id, first.height, first.width, first.is_empty) == ("a", 24, 32, False)
    assert first.questions == ["Where would a be?", "And where else?"]
    assert first.category is None
    assert splits["test"][1].is_empty


def test_the_layout_is_found_wherever_it_is_nested(release, tmp_path):
    deep = tmp_path / "x" / "RSReasonSeg"
    deep.parent.mkdir()
    release.rename(deep)
    assert find_release(tmp_path) == deep


def test_a_folder_without_a_release_says_what_was_expected(tmp_path):
    with pytest.raises(DataNotFoundError, match="images, labels, QAs"):
        find_release(tmp_path)
    with pytest.raises(DataNotFoundError, match="no folder"):
        find_release(tmp_path / "nowhere")


@pytest.mark.parametrize(("part", "reason"), [("images", "no image"), ("labels", "no label"), ("QAs", "no questions")])
def test_a_stem_missing_in_one_folder_is_left_out_and_named(release, part, reason):
    next((release / "train" / part).glob("b.*")).unlink()
    ids, [(sample, given, message)] = left_out_of(release)
    assert ids == ["a", "c"]
    assert (sample, given) == ("b", reason)
    assert f"{release / 'train' / part} has no file for 'b'" in message


def test_more_missing_files_than_allowed_are_an_error_that_says_how_to_go_on(release):
    next((release / "train" / "labels").glob("b.*")).unlink()
    with pytest.raises(
        DataFormatError, match=r"1 of 3 samples of train \(33.3%\).*no label \(b\).*--max-left-out 0.34"
    ):
        read_all(release)


@pytest.mark.parametrize("parts", [["images"], ["images", "labels", "QAs"]])
def test_dot_files_and_files_of_the_system_are_no_samples(release, parts):
    before = list(read_all(release)[0]["train"])
    for part in parts:
        folder = release / "train" / part
        suffix = next(folder.glob("a.*")).suffix
        # "._a" is what macOS writes beside a file on other disks; it has the suffix of the file.
        for name in (f"._a{suffix}", f".hidden{suffix}", ".DS_Store", "Thumbs.db", "desktop.ini"):
            (folder / name).write_bytes(b"not a sample")
    assert read_all(release)[0]["train"] == before


def test_a_stem_with_two_images_is_left_out(release):
    Image.new("RGB", (32, 24)).save(release / "train" / "images" / "a.png")
    ids, [(sample, reason, message)] = left_out_of(release)
    assert ids == ["b", "c"]
    assert (sample, reason) == ("a", "several images")
    assert "several files for 'a' (a.jpg, a.png); keep one" in message


def damage(release, part, content):
    path = next((release / "train" / part).glob("a.*"))
    path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content)
    ids, [(sample, _, message)] = left_out_of(release)
    assert ids == ["b", "c"]
    assert sample == "a"
    assert str(path) in message
    return message


def test_a_truncated_image_is_named(release):
    whole = (release / "train" / "images" / "a.jpg").read_bytes()
    assert "not a readable image" in damage(release, "images", whole[: len(whole) // 2])


def test_a_label_that_is_no_picture_is_named(release):
    assert "not a readable label" in damage(release, "labels", b"nothing")


def test_a_label_of_another_size_is_named(release):
    Image.new("L", (31, 24)).save(release / "train" / "labels" / "a.png")
    ids, [(sample, _, message)] = left_out_of(release)
    assert ids == ["b", "c"]
    assert sample == "a"
    assert re.search(r"a.png: the label is 24x31.*a.jpg is 24x32", message)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ('{"questions": ["caf\xe9?"]}'.encode("latin1"), "iconv -f latin1"),
        ("[]", "expected"),
        ('{"questions": [], "answer": []}', "has no questions"),
        ('{"questions": "why", "answer": []}', "questions is not a list of texts"),
        ('{"questions": ["why"], "answer": [1]}', "answer is not a list of texts"),
        ('{"questions": ["why"], "answer": [], "category": 3}', "category is not a text"),
        ('{"questions": ["why"], "answer": [], "ground_resolution": "fine"}', "ground_resolution is not a number"),
    ],
)
def test_broken_question_files_are_named(release, text, words):
    assert words in damage(release, "QAs", text)


def test_question_files_may_be_txt_with_a_byte_order_mark(release):
    old = release / "train" / "QAs" / "a.json"
    old.unlink()
    qa = {"questions": ["why"], "answer": ["so"], "category": "lake", "ground_resolution": 2}
    (old.with_suffix(".txt")).write_text("\ufeff" + json.dumps(qa), encoding="utf-8")
    first = read_all(release)[0]["train"][0]
    assert (first.category, first.ground_resolution, first.answers) == ("lake", 2.0, ["so"])


def test_any_pixel_that_is_not_zero_is_target(release):
    mask = np.zeros((24, 32), np.uint8)
    mask[0, 0] = 1
    Image.fromarray(mask).save(release / "train" / "labels" / "a.png")
    record = read_all(release)[0]["train"][0]
    assert not record.is_empty


def test_pictures_that_are_not_rgb_become_rgb(release):
    Image.new("L", (32, 24), 90).save(release / "train" / "images" / "a.jpg")
    record = read_all(release)[0]["train"][0]
    assert record.image[:4] == b"\x89PNG"


def as_published(release):
    """Remove the ids from the question files: the official ones state none."""
    for path in release.glob("*/QAs/*"):
        qa = json.loads(path.read_text())
        del qa["sample_id"]
        path.write_text(json.dumps(qa))


def test_an_id_is_split_and_stem_whatever_else_is_on_disk(release):
    as_published(release)
    for part in ("images", "labels", "QAs"):
        path = next((release / "test" / part).glob("e.*"))
        path.rename(path.with_stem("a"))
    splits, _ = read_all(release)
    assert [record.sample_id for record in splits["test"]] == ["test-a", "test-f"]
    assert [record.sample_id for record in splits["train"]] == ["train-a", "train-b", "train-c"]
    shutil.rmtree(release / "train")
    assert [record.sample_id for record in read_all(release)[0]["test"]] == ["test-a", "test-f"]


def test_an_id_that_two_question_files_state_is_kept_once(release):
    path = next((release / "train" / "QAs").glob("b.*"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "sample_id": "a"}))
    ids, [(sample, reason, message)] = left_out_of(release)
    assert ids == ["a", "c"]
    assert (sample, reason) == ("b", "id used twice")
    assert str(path) in message
    audited = audit(release)
    assert [f.samples for f in audited.findings if f.rule == "repeated id"] == [("train/a", "train/b")]
    assert audited.left_out == ["train/b"]


def test_a_stated_id_that_is_no_text_is_named(release):
    assert "sample_id is not a text" in damage(release, "QAs", '{"questions": ["why"], "answer": [], "sample_id": 3}')
