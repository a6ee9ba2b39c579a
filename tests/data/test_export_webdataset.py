"""Tar shards decode bit for bit, in `datasets` and in the library webdataset."""

import io
import json
import tarfile

import datasets
import numpy as np
import pytest
import webdataset
from PIL import Image

from earthreason.data.exports import export
from earthreason.data.pictures import mask_of
from earthreason.data.reader import open_source
from earthreason.masks.rle import decode_rle
from tests.data.memory import Memory, box, png, sample, several
from tests.data.reading import mask_pixels


@pytest.fixture
def shards(tmp_path):
    export(Memory(several()), "webdataset", tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def late(tmp_path):
    """Samples 6 and 7 have what the first five have not: PNG, an ignored region, targets, a category and answers."""
    plain = [sample(str(number), box(1, 2, 3, 4)) for number in range(6)]
    masks = [png(box(1, 2, 3, 4)), png(box(5, 5, 9, 9))]
    rich = sample(
        "6", box(1, 2, 3, 4) | box(5, 5, 9, 9), "PNG", category="lake", answers=["x"], ignore=masks[0], targets=masks
    )
    export(Memory({"test": [*plain, rich]}), "webdataset", tmp_path / "late")
    return tmp_path / "late"


def check(row, expected):
    """Compare a decoded row with a record, pixel by pixel."""
    pixels = np.asarray(Image.open(io.BytesIO(expected.image)).convert("RGB"))
    assert np.array_equal(np.asarray(row["jpg"]), pixels)
    assert row["mask.png"].mode == row["ignore.png"].mode == "L"
    assert np.array_equal(np.asarray(row["mask.png"]), 255 * mask_of(expected.mask, "mask"))
    ignored = expected.ignore or png(np.zeros((expected.height, expected.width), bool))
    assert np.array_equal(np.asarray(row["ignore.png"]), 255 * mask_of(ignored, "ignore"))
    facts = row["json"]
    assert (facts["sample_id"], facts["questions"]) == (expected.sample_id, expected.questions)
    assert (facts["answers"], facts["category"]) == (expected.answers, expected.category)
    assert (facts["targets"] is None) == (expected.targets is None)
    for rle, target in zip(facts["targets"] or (), expected.targets or (), strict=True):
        assert np.array_equal(decode_rle(rle), mask_of(target, "target"))


def test_datasets_decodes_the_shards(shards, tmp_path):
    files = {"train": str(shards / "train-*.tar")}
    rows = datasets.load_dataset("webdataset", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    for row, expected in zip(rows, several()["train"], strict=True):
        check(row, expected)


def test_the_folder_loads_whatever_the_first_samples_lack(late, tmp_path):
    rows = datasets.load_dataset(str(late), split="test", cache_dir=str(tmp_path / "cache"))
    for row, expected in zip(rows, open_source(late).read("test"), strict=True):
        check(row, expected)
    assert rows[6]["json"]["category"] == "lake"
    assert np.array_equal(np.asarray(rows[6]["ignore.png"]), 255 * box(1, 2, 3, 4))
    assert [list(size) for size in (rle["size"] for rle in rows[6]["json"]["targets"])] == [[20, 30]] * 2


def test_the_folder_streams(late):
    rows = list(datasets.load_dataset(str(late), split="test", streaming=True))
    assert [row["json"]["sample_id"] for row in rows] == [str(number) for number in range(7)]
    assert np.array_equal(np.asarray(rows[6]["mask.png"]), 255 * (box(1, 2, 3, 4) | box(5, 5, 9, 9)))


def test_every_sample_has_files_of_the_same_names_without_dots_in_the_key(late):
    with tarfile.open(late / "test-000000.tar") as archive:
        names = archive.getnames()
    samples = {}
    for name in names:
        key, _, rest = name.partition(".")
        samples.setdefault(key, []).append(rest)
    assert set(map(tuple, samples.values())) == {("jpg", "mask.png", "ignore.png", "json")}


def test_ids_with_dots_and_slashes_are_kept_in_the_json(tmp_path):
    names = ["a/b.c", "d.e.f", "é"]
    export(Memory({"test": [sample(name, box(0, 0, 2, 2)) for name in names]}), "webdataset", tmp_path / "out")
    assert [record.sample_id for record in open_source(tmp_path / "out").read("test")] == names


@pytest.mark.parametrize("spec", ["l8", "rgb8", "pil", "l"])
def test_webdataset_decodes_the_shards(shards, spec):
    rows = webdataset.WebDataset(str(shards / "train-000000.tar"), shardshuffle=False).decode(spec)
    for row, expected in zip(rows, several()["train"], strict=True):
        facts = row["json"] if isinstance(row["json"], dict) else json.loads(row["json"])
        assert facts["sample_id"] == expected.sample_id
        mask = np.asarray(row["mask.png"])
        mask = mask[..., 0] if mask.ndim == 3 else mask
        assert np.array_equal(mask, mask_pixels(expected.mask) * (1 if spec == "l" else 255))
        if spec in ("rgb8", "pil"):
            pixels = np.asarray(Image.open(io.BytesIO(expected.image)).convert("RGB"))
            assert np.array_equal(np.asarray(row["jpg"]), pixels)
