"""The rule for left-out samples: what loads, what is said, and what is refused."""

import json
import logging

import pytest
from PIL import Image

from earthreason import load_dataset
from earthreason.data import configs
from earthreason.data.omissions import SHARE_VARIABLE, Omission, Omissions, Tolerance
from earthreason.data.reader import open_source
from earthreason.errors import DataFormatError, EarthReasonError


@pytest.fixture
def release(tmp_path, monkeypatch):
    """Return a release of 60, 4 and 4 samples with one broken question file in training."""
    monkeypatch.setattr(configs, "prepared_root", lambda cache_dir=None: tmp_path / "cache")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "arrow"))
    folder = tmp_path / "release"
    for split, count in {"train": 60, "val": 4, "test": 4}.items():
        for part in ("images", "labels", "QAs"):
            (folder / split / part).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (8, 6), (number, 90, 60)).save(folder / split / "images" / f"{number:03}.png")
            Image.new("L", (8, 6), 255).save(folder / split / "labels" / f"{number:03}.png")
            questions = {"questions": [f"Where is {number}?"], "answer": ["There."]}
            (folder / split / "QAs" / f"{number:03}.json").write_text(json.dumps(questions))
    sorted((folder / "train" / "QAs").iterdir())[7].write_text("{")
    return folder


def test_sound_samples_load_and_one_line_names_the_rest(release, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "earthreason"):
        splits = load_dataset("earthreason", data_dir=release, cache_dir=str(tmp_path / "arrow"))
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 59, "validation": 4, "test": 4}
    [line] = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert "1 sample left out (train: 1 unreadable questions" in line
    assert "1 sample left out" in splits["test"].info.description
    listed = next((tmp_path / "cache").rglob("left_out.json"))
    [entry] = json.loads(listed.read_text())["left_out"]
    assert (entry["split"], entry["reason"]) == ("train", "unreadable questions")
    assert "not JSON" in entry["message"]


@pytest.mark.parametrize("options", [{"strict": True}, {"max_left_out": 0.0}, {"max_left_out": 0.01}])
def test_too_many_are_refused_with_the_way_to_go_on(release, options):
    with pytest.raises(DataFormatError, match="1 unreadable questions") as caught:
        load_dataset("earthreason", data_dir=release, **options)
    assert "\n" not in str(caught.value)
    assert options.get("strict") or "EARTHREASON_MAX_LEFT_OUT=0.02" in str(caught.value)


def test_a_share_of_exactly_the_limit_is_accepted():
    omissions = Omissions(Omission("test", str(number), "no label", "gone") for number in range(2))
    omissions.check({"test": 100}, Tolerance(share=0.02), "set")
    with pytest.raises(DataFormatError, match=r"2 of 99 samples of test \(2\.0%\)"):
        omissions.check({"test": 99}, Tolerance(share=0.02), "set")


def test_the_remedy_of_the_message_suffices():
    omissions = Omissions(Omission("test", str(number), "no label", "gone") for number in range(7))
    with pytest.raises(DataFormatError, match=r"in Python max_left_out=0\.24") as caught:
        omissions.check({"test": 30}, Tolerance(), "set")
    assert "7 no label (0, 1, 2, ...)" in str(caught.value)
    omissions.check({"test": 30}, Tolerance(share=0.24), "set")


def test_a_variable_sets_the_share_for_every_command(release, monkeypatch):
    monkeypatch.setenv(SHARE_VARIABLE, "0")
    with pytest.raises(DataFormatError, match="1 of 60 samples of train"):
        list(open_source(release).read("train"))
    monkeypatch.setenv(SHARE_VARIABLE, "1")
    assert len(list(open_source(release).read("train"))) == 59


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), True, "0.1"])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(EarthReasonError, match="from 0 to 1"):
        Tolerance(share=share)


def test_samples_are_counted_once_however_often_they_are_read(release):
    source = open_source(release)
    for _ in range(2):
        assert len(list(source.read("train"))) == 59
    assert len(source.omissions) == 1
