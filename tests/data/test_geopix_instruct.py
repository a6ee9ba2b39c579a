"""GeoPixInstruct: one sample for each instance of a row."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from earthreason.data.sources.geopix_instruct import GeoPixInstruct
from tests.data.fakes import geopix_instruct as fake
from tests.data.reading import mask_pixels, read_every

FILE = "data/train.SIOR_T-00000-of-00001.parquet"


@pytest.fixture
def folder(tmp_path):
    fake.make(tmp_path)
    return tmp_path


def read(folder, split="train"):
    return read_every(GeoPixInstruct(folder), split)


def test_every_instance_is_a_sample_with_the_mask_of_its_run_lengths(folder):
    for split, part, instances in (("train", "SIOR", ["00001_1", "00001_2"]), ("validation", "SOTA", ["P0001_1"])):
        records, left_out = read(folder, split)
        assert list(records) == [f"geopix_{split}_{part}_{name}" for name in instances]
        assert not left_out
        for name, record in zip(instances, records.values(), strict=True):
            assert np.array_equal(mask_pixels(record.mask), fake.expected(name))
            assert (record.questions, record.source, record.category) == ([f"the ship {name}"], part, "ship")
            assert json.loads(record.extra) == {"bbox": fake.BOXES[name]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda row: row["instances"][0].__setitem__("description", None), "no description"),
        (lambda row: row["instances"][0].__setitem__("mask", None), "broken mask"),
        (lambda row: row["instances"][0]["mask"].__setitem__("size", [32, 64]), "label of another size"),
        (lambda row: row["instances"][0]["mask"].__setitem__("counts", "P"), "broken mask"),
    ],
)
def test_one_broken_instance_is_left_out_with_a_reason(folder, change, reason):
    row = fake.row("train.SIOR_T", ["00001_1", "00001_2"])
    change(row)
    pq.write_table(pa.Table.from_pylist([row]), folder / FILE)
    records, (omission,) = read(folder)
    assert list(records) == ["geopix_train_SIOR_00001_2"]
    assert omission.reason == reason
    assert "instance '00001_1'" in omission.message


@pytest.mark.parametrize("path", ["SIOR/../../secret.jpg", "../SIOR/images/00001.jpg"])
def test_a_path_that_leads_outside_is_refused(folder, path):
    row = fake.row("train.SIOR_T", ["00001_1"]) | {"image_path": path}
    pq.write_table(pa.Table.from_pylist([row]), folder / FILE)
    records, (omission,) = read(folder)
    assert (records, omission.reason) == ({}, "name leads outside")


def test_the_end_of_the_path_tells_pictures_of_one_name_apart(folder):
    other = folder / "SOTA" / "images" / "00001.jpg"
    Image.new("RGB", (8, 8)).save(other)
    records, _ = read(folder)
    assert {(record.height, record.width) for record in records.values()} == {(fake.SIDE, fake.SIDE)}
