"""LISS4Reason against masks that OpenCV drew."""

import shutil

import numpy as np
import pytest

from earthreason import load_dataset
from earthreason.data.omissions import Tolerance
from earthreason.data.reader import open_source
from earthreason.data.sources.base import ON_DISK
from earthreason.errors import DataNotFoundError
from tests.data.fakes import liss4reason as fake


@pytest.fixture
def folder(tmp_path):
    fake.make(tmp_path / "set")
    return tmp_path / "set"


def test_masks_and_texts_are_those_of_the_set(folder):
    loaded = load_dataset("earthreason", "liss4reason", data_dir=folder)
    for split, rows in loaded.items():
        name = ON_DISK[split]
        assert [row["sample_id"] for row in rows] == [f"liss4reason_{split}_{stem}" for stem in fake.STEMS[name]]
        for row, stem in zip(rows, fake.STEMS[name], strict=True):
            assert np.array_equal(np.asarray(row["mask"]) != 0, fake.mask_of(name, stem))
            content = fake.questions_of(name, stem)
            assert (row["questions"], row["answers"]) == (content["questions"], content["answer"])


def test_the_official_release_is_not_taken_for_it(release):
    assert open_source(release).name == "release"
    with pytest.raises(DataNotFoundError, match="contains no LISS4Reason"):
        load_dataset("earthreason", "liss4reason", data_dir=release)


@pytest.mark.parametrize(("part", "reason"), [("images", "no image"), ("labels", "no label"), ("qa", "no questions")])
def test_a_stem_without_a_file_is_left_out_with_its_reason(folder, part, reason):
    next((folder / "train" / part).glob("0001.*")).unlink()
    source = open_source(folder, Tolerance(share=1))
    assert [record.sample_id for record in source.read("train")] == ["liss4reason_train_0002"]
    assert [omission.reason for omission in source.omissions] == [reason]


def test_a_broken_file_and_a_stem_that_occurs_twice_are_left_out(folder):
    (folder / "train/qa/0001.json").write_text("{")
    shutil.copy(folder / "train/images/0002.png", folder / "train/images/0002.JPG")
    source = open_source(folder, Tolerance(share=1))
    assert list(source.read("train")) == []
    assert [omission.reason for omission in source.omissions][1] == "several image"
    assert len(list(source.read("test"))) == 1
