"""Splits are whole words of the names of files, and files that say none are asked about."""

import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earthreason import load_dataset
from earthreason.data.reader import open_source
from earthreason.data.sources.base import by_split, split_of_name
from earthreason.errors import DataFormatError, UnknownNameError
from tests.data.fakes import refsegrs


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("training-set", "train"),
        ("train_1shot", "train"),
        ("TRAIN2014", "train"),
        ("val", "validation"),
        ("val-00000-of-00001", "validation"),
        ("valid.part2", "validation"),
        ("my validation", "validation"),
        ("ValSet", "validation"),
        ("dev", "validation"),
        ("test", "test"),
        ("testA", "test"),
        ("testing_2", "test"),
        ("test_evaluation", "test"),
        ("evalTEST", "test"),
        ("TESTSet", "test"),
        ("pretraining_free_test", "test"),
        ("constrained_valley_test", "test"),
    ],
)
def test_a_split_is_a_whole_word(name, split):
    assert split_of_name(Path(f"{name}.jsonl")) == split


@pytest.mark.parametrize("name", ["data", "eval", "evaluation", "latest", "contest", "trainval", "devices", "0000", ""])
def test_a_name_without_a_split_asks_unless_the_file_is_alone(name):
    path = Path(f"x/{name}.jsonl")
    with pytest.raises(DataFormatError, match=r"its name says no split; rename it, such as test-"):
        split_of_name(path)
    assert split_of_name(path, alone=True) == "test"


@pytest.mark.parametrize("name", ["train_test", "devTest", "val-train"])
def test_a_name_with_several_splits_asks_even_alone(name):
    with pytest.raises(DataFormatError, match=f"{name}.jsonl: its name says several splits"):
        split_of_name(Path(f"{name}.jsonl"), alone=True)


def test_the_nearest_folder_below_the_root_is_asked_where_the_file_says_nothing():
    root = Path("/home/test")
    files = [root / "train" / "0000.parquet", root / "train" / "part" / "val.parquet", root / "dev" / "x" / "0.parquet"]
    assert by_split(files, root) == {"train": files[:1], "validation": files[1:]}
    with pytest.raises(DataFormatError, match="says no split"):
        by_split([root / "0.parquet", root / "1.parquet"], root)


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"id": ["a"]}), path)
    elif path.suffix == ".tar":
        tarfile.open(path, "w").close()
    elif path.suffix == ".json":
        path.write_text(json.dumps({"images": [], "annotations": []}))
    else:
        path.write_text('{"id": "a"}\n')
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".tar", ".json"])
def test_a_file_opened_alone_has_the_split_of_its_name_or_is_test(tmp_path, suffix):
    assert set(open_source(write(tmp_path / f"dev{suffix}")).counts) == {"validation"}
    assert set(open_source(write(tmp_path / f"test_evaluation{suffix}")).counts) == {"test"}
    assert set(open_source(write(tmp_path / f"data{suffix}")).counts) == {"test"}


@pytest.mark.parametrize("suffix", [".parquet", ".tar"])
def test_files_beside_each_other_have_to_say_their_splits(tmp_path, suffix):
    write(tmp_path / f"train{suffix}")
    write(tmp_path / f"other{suffix}")
    with pytest.raises(DataFormatError, match=f"other{suffix}: its name says no split"):
        open_source(tmp_path)


def test_two_annotation_files_of_one_split_are_an_error_that_names_both(tmp_path):
    (tmp_path / "images").mkdir()
    write(tmp_path / "annotations" / "instances_train.json")
    write(tmp_path / "annotations" / "captions_train.json")
    with pytest.raises(DataFormatError, match="several files for train .captions_train.json, instances_train.json"):
        open_source(tmp_path)


@pytest.mark.parametrize("split", ["test", "test[:2]", "train+test", ["train", "test"]])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_split_that_the_data_lacks_is_one_line_with_those_it_has(tmp_path, split, streaming):
    refsegrs.make(tmp_path)
    (tmp_path / "output_phrase_test.txt").unlink()
    with pytest.raises(UnknownNameError, match="unknown split 'test' .known: train, validation"):
        load_dataset("earthreason", "refsegrs", data_dir=tmp_path, split=split, streaming=streaming)
    assert len(load_dataset("earthreason", "refsegrs", data_dir=tmp_path, split="val")) == 1
