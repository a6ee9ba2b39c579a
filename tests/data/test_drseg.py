"""DRSeg: polygons as PixDLM's reader fills them, with pycocotools."""

import json

import numpy as np
import pytest

from earthreason.data.sources.drseg import DRSeg
from earthreason.errors import DataFormatError
from tests.data.fakes import drseg as fake
from tests.data.reading import mask_pixels, read_every

FILE = "labels/DRSeg_test.json"


@pytest.fixture
def folder(tmp_path):
    fake.make(tmp_path)
    return tmp_path


def read(folder, split="test"):
    return read_every(DRSeg(folder), split)


def rewrite(folder, change, path=FILE):
    entries = json.loads((folder / path).read_text())
    entries = change(entries) or entries
    (folder / path).write_text(json.dumps(entries))


def test_instances_are_united_and_drawn_as_its_own_reader_draws_them(folder):
    for name, split in {"train": "train", "val": "validation", "test": "test"}.items():
        records, left_out = read(folder, split)
        assert list(records) == [f"drseg_{split}_{stem}" for stem in fake.SPLITS[name]]
        assert not left_out
        for stem, record in zip(fake.SPLITS[name], records.values(), strict=True):
            assert np.array_equal(mask_pixels(record.mask), fake.expected(stem))
            assert (record.questions, record.reasoning_type) == ([f"What is at {stem}?"], "spatial")
            assert record.targets is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda e: e.__setitem__("ann_list", []), "no target"),
        (lambda e: e.__setitem__("ann_list", [{"segmentation": [3, 3, 9, 9]}]), "no target"),
        (lambda e: e.__setitem__("ann_list", [{"segmentation": [-9, -9, -5, -9, -5, -5]}]), "no target"),
        (lambda e: e.__setitem__("ann_list", [{"segmentation": []}]), "no target"),
        (lambda e: e.__setitem__("ann_list", [{}]), "broken data"),
        (lambda e: e.__setitem__("ann_list", [{"segmentation": [0, 0, 1e300, 0, 5, 5]}]), "broken polygon"),
        (lambda e: e.__setitem__("ann_list", [{"segmentation": [0, 0, None, 0, 5, 5]}]), "broken polygon"),
        (lambda e: e.__setitem__("height", 49), "label of another size"),
        (lambda e: e.__setitem__("height", 10**9), "label of another size"),
        (lambda e: e.__setitem__("width", "64"), "label of another size"),
        (lambda e: e.pop("width"), "broken data"),
        (lambda e: e.__setitem__("id", "../DRtrain/100_0001"), "name leads outside"),
        (lambda e: e.__setitem__("id", "100_0009"), "no picture"),
        (lambda e: e.__setitem__("id", None), "no id"),
        (lambda e: e.__setitem__("questions", []), "no questions"),
        (lambda e: e.__setitem__("questions", [None]), "no questions"),
        (lambda e: e.__setitem__("questions", ["\ud800"]), "broken questions"),
    ],
)
def test_one_broken_sample_is_left_out_with_a_reason_and_the_others_load(folder, change, reason):
    rewrite(folder, lambda entries: change(entries[0]) and None)
    records, (omission,) = read(folder)
    assert list(records) == ["drseg_test_100_0004"]
    assert omission.reason == reason
    assert f"{FILE}[0]" in omission.message
    assert "\n" not in omission.message


def test_equal_ids_are_both_kept(folder):
    rewrite(folder, lambda entries: [entries[0], entries[0]])
    records, _ = read(folder)
    assert list(records) == ["drseg_test_100_0003", "drseg_test_100_0003#2"]


def test_pictures_of_all_splits_may_lie_in_one_folder_and_the_index_beside_them(tmp_path):
    made = tmp_path / "made"
    fake.make(made)
    flat = tmp_path / "flat"
    (flat / "images").mkdir(parents=True)
    for path in made.rglob("*.*"):
        path.rename(flat / path.name.removeprefix("DRSeg_") if path.suffix == ".json" else flat / "images" / path.name)
    source = DRSeg(flat)
    assert source.counts == {"train": 1, "validation": 1, "test": 2}
    assert [record.sample_id for record in source.read("validation")] == ["drseg_validation_100_0002"]


def test_a_picture_of_another_split_is_not_taken(folder):
    (folder / "CODrone/DRtest/100_0003.jpg").rename(folder / "CODrone/DRval/100_0003.jpg")
    records, (omission,) = read(folder)
    assert list(records) == ["drseg_test_100_0004"]
    assert omission.reason == "no picture"


def test_two_indexes_of_a_split_are_refused(folder):
    (folder / "labels/test.json").write_text((folder / FILE).read_text())
    with pytest.raises(DataFormatError, match="two files list samples of test"):
        DRSeg(folder)


def test_an_index_whose_name_says_no_split_is_test_if_it_is_alone_and_refused_among_others(folder):
    (folder / FILE).rename(folder / "labels/DRSeg.json")
    with pytest.raises(DataFormatError, match="DRSeg.json: its name says no split"):
        DRSeg(folder)
    for split in ("train", "val"):
        (folder / f"labels/DRSeg_{split}.json").unlink()
    assert list(read(folder)[0]) == ["drseg_test_100_0003", "drseg_test_100_0004"]
