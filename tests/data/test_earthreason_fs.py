"""EarthReason-FS: the training sets are configurations, because they are subsets of each other."""

import numpy as np
import pytest

from earthreason import load_dataset
from earthreason.data.reader import open_source
from earthreason.errors import DataNotFoundError
from tests.data.fakes import earthreason_fs as fake


@pytest.fixture
def folder(tmp_path):
    fake.make(tmp_path / "set")
    return tmp_path / "set"


@pytest.mark.parametrize(
    ("config", "training"),
    [
        ("earthreason-fs", "train_10shot"),
        ("earthreason-fs-1shot", "train_1shot"),
        ("earthreason-fs-5shot", "train_5shot"),
        ("earthreason-fs-10shot", "train_10shot"),
        (None, "train_10shot"),
    ],
)
def test_a_configuration_has_its_training_samples_and_the_other_splits(folder, config, training):
    loaded = load_dataset("earthreason", config, data_dir=folder)
    assert {split: list(rows["sample_id"]) for split, rows in loaded.items()} == {
        "train": fake.IDS[training],
        "validation": fake.IDS["val"],
        "test": fake.IDS["test"],
    }
    for rows in loaded.values():
        for row in rows:
            assert np.array_equal(np.asarray(row["mask"]) != 0, fake.mask_of(row["sample_id"]))
            assert (row["category"], row["extra"]) == ("lake", '{"bbox_list": [[3, 2, 9, 6]]}')


def test_a_folder_is_opened_with_the_largest_training_set(folder):
    assert open_source(folder).counts == {"train": 4, "validation": 2, "test": 2}


def test_the_converted_files_of_the_hub_have_the_shots_in_the_name_of_their_folder(folder):
    for path in (folder / "data").glob("*.parquet"):
        name, _, number = path.stem.partition("-")
        (folder / "default" / name).mkdir(parents=True, exist_ok=True)
        path.rename(folder / "default" / name / f"{number[1:5]}.parquet")
    assert len(load_dataset("earthreason", "earthreason-fs-5shot", data_dir=folder, split="train")) == 3


def test_shots_that_are_not_there_are_one_error_that_says_which_are(folder):
    next(folder.rglob("train_5shot*")).unlink()
    with pytest.raises(DataNotFoundError, match="no train_5shot parquet file; it contains train_1shot, train_10shot"):
        load_dataset("earthreason", "earthreason-fs-5shot", data_dir=folder)


def test_one_training_file_opens_alone(folder):
    assert open_source(next(folder.rglob("train_1shot*"))).counts == {"train": 1}
