"""`load_dataset` of ours and of `datasets`, on the sample configuration and on a release folder."""

import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest

import earthreason
from earthreason.data.configs import SampleConfig, prepared_root
from earthreason.data.load import resolve_split
from earthreason.data.prepared import write_prepared
from earthreason.data.schema import features, sample_of_row
from earthreason.data.sources.sample import record_of_sample
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError, UnknownNameError
from earthreason.metrics.truth import load_references
from earthreason.synthetic import HELD_OUT_CATEGORIES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def sample():
    return earthreason.load_dataset("earthreason", "sample")


def test_the_sample_has_three_splits_with_the_features_of_the_schema(sample):
    assert isinstance(sample, datasets.DatasetDict)
    assert {name: len(split) for name, split in sample.items()} == {"train": 160, "validation": 60, "test": 100}
    assert sample["test"].features == features()


def test_rows_hold_pictures_questions_and_facts(sample):
    row = sample["test"][1]
    assert row["image"].size == row["mask"].size == (row["width"], row["height"])
    assert set(np.unique(np.asarray(row["mask"]))) <= {0, 255}
    assert len(row["questions"]) == 6
    assert row["is_empty"] == (not np.asarray(row["mask"]).any())


def test_train_leaves_categories_to_evaluation(sample):
    assert not set(sample["train"]["category"]) & HELD_OUT_CATEGORIES
    assert set(sample["test"]["category"]) >= HELD_OUT_CATEGORIES


def test_every_split_has_empty_targets(sample):
    for split in sample.values():
        assert 0.04 < np.mean(split["is_empty"]) < 0.22


def test_plain_datasets_knows_the_name(sample):
    theirs = datasets.load_dataset("earthreason", "sample", split="test")
    assert theirs["sample_id"] == sample["test"]["sample_id"]


@pytest.mark.parametrize(
    ("split", "rows"), [("val", 60), ("test[:10]", 10), ("val[50%:]", 30), ("train+val", 220), ("test[-3:]", 3)]
)
def test_slices_and_the_short_name_work(split, rows):
    assert len(datasets.load_dataset("earthreason", "sample", split=split)) == rows


def test_streaming_gives_the_same_rows(sample):
    streamed = datasets.load_dataset("earthreason", "sample", split="test", streaming=True)
    ids = [row["sample_id"] for row in streamed.take(5)]
    assert ids == sample["test"]["sample_id"][:5]


def test_streaming_knows_the_short_name():
    streamed = earthreason.load_dataset("earthreason", "sample", split="val", streaming=True)
    assert next(iter(streamed))["sample_id"].endswith("val_000000")


def test_num_proc_works(sample, tmp_path):
    loaded = datasets.load_dataset("earthreason", "sample", split="test", num_proc=2, cache_dir=str(tmp_path))
    assert loaded["sample_id"] == sample["test"]["sample_id"]


def test_config_names_are_listed():
    assert "sample" in datasets.get_dataset_config_names("earthreason")


def test_a_release_folder_loads(release, tmp_path):
    loaded = earthreason.load_dataset("earthreason", data_dir=release, cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"train": 3, "validation": 1, "test": 2}
    assert loaded["test"]["answers"] == [["There."], []]
    assert loaded["train"]["category"] == [None] * 3


def test_the_folder_may_come_from_the_environment(release, monkeypatch):
    monkeypatch.setenv("EARTHREASON_DATA", str(release))
    assert len(datasets.load_dataset("earthreason", split="test")) == 2


def test_a_changed_release_is_read_again(release):
    assert len(earthreason.load_dataset("earthreason", data_dir=release, split="train")) == 3
    for part in ("images", "labels", "QAs"):
        next((release / "train" / part).glob("c.*")).unlink()
    assert len(earthreason.load_dataset("earthreason", data_dir=release, split="train")) == 2


def test_without_the_release_the_error_says_what_to_do():
    with pytest.raises(DataNotFoundError) as caught:
        earthreason.load_dataset("earthreason")
    for words in ("data_dir=", "EARTHREASON_DATA", 'load_dataset("earthreason", "sample")'):
        assert words in str(caught.value)


def test_unknown_names_get_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown config 'sampl'; did you mean 'sample'"):
        earthreason.load_dataset("earthreason", "sampl")
    with pytest.raises(UnknownNameError, match="unknown split 'tets'; did you mean 'test'"):
        earthreason.load_dataset("earthreason", "sample", split="tets")


def test_split_expressions_are_understood():
    assert resolve_split("val[:10]+test") == "validation[:10]+test"
    assert resolve_split(["val", "train"]) == ["validation", "train"]
    assert resolve_split(None) is None


def test_the_sample_takes_no_data_dir(tmp_path):
    with pytest.raises(DataNotFoundError, match="takes no data_dir .--data-dir"):
        earthreason.load_dataset("earthreason", "sample", data_dir=tmp_path)


def test_an_interrupted_preparation_leaves_nothing_that_loads(tmp_path):
    records = (record_of_sample(s) for s in interrupted_samples())
    target = tmp_path / "prepared" / "earthreason"
    with pytest.raises(KeyboardInterrupt):
        write_prepared(target, "sample", {"train": records}, {"train": 5})
    assert not target.exists()
    assert list(target.parent.iterdir()) == []


def interrupted_samples():
    from earthreason.synthetic import generate_scene

    yield generate_scene(0, "train", 0, (128, 128))
    raise KeyboardInterrupt


def test_the_sample_is_made_once(sample):
    folders = list(prepared_root().glob("sample-*"))
    assert SampleConfig().prepare(None).parent in folders
    assert len(folders) == 1


def test_references_of_a_split_equal_its_masks(sample):
    truth = load_references("sample", "test[:5]")
    for row in sample["test"].select(range(5)):
        reference = truth[row["sample_id"]]
        assert reference.area == int((np.asarray(row["mask"]) > 0).sum())
        assert (reference.category, reference.question_count) == (row["category"], 6)


def test_hidden_labels_are_told(sample):
    row = {**sample["test"][0], "mask": None}
    with pytest.raises(DataFormatError, match="labels are hidden"):
        sample_of_row(row)


def run_python(code, folder):
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_the_name_wins_over_the_package_folder_in_a_checkout(sample):
    code = "import earthreason, datasets; print(len(datasets.load_dataset('earthreason', 'sample', split='val')))"
    assert run_python(code, ROOT).strip() == "60"


def test_the_name_works_when_datasets_is_imported_first(sample):
    code = "import datasets, earthreason; print(len(datasets.load_dataset('earthreason', 'sample', split='val')))"
    assert run_python(code, ROOT).strip() == "60"


def test_other_names_pass_through(release):
    with pytest.raises(Exception, match="no_such_dataset"):
        datasets.load_dataset("no_such_dataset_of_anyone")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"columns": ["imgae"]}, "unknown column 'imgae'; did you mean 'image'"),
        ({"columns": "image"}, r"columns is a list of names, such as \['image'\]"),
        ({"max_leftout": 0.1}, "unknown option of load_dataset 'max_leftout'; did you mean 'max_left_out'"),
        ({"data_files": "x.parquet"}, "data_files is not for 'earthreason'"),
        ({"features": datasets.Features({"a": datasets.Value("string")})}, "features is not for 'earthreason'"),
        ({"split": 5}, "split is a text such as test"),
        ({"data_dir": ""}, "data_dir: '' .* is not the path"),
        ({"data_dir": "x" * 5000}, "data_dir: .* cannot be read"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_options_that_cannot_work_are_named_in_one_line(release, option, message):
    with pytest.raises(EarthReasonError, match=message) as caught:
        datasets.load_dataset("earthreason", **({"data_dir": str(release)} | option))
    assert "\n" not in str(caught.value)


def test_splits_of_the_class_of_datasets_are_understood(sample):
    assert len(datasets.load_dataset("earthreason", "sample", split=datasets.Split.TEST)) == len(sample["test"])
