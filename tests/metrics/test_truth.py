"""The truth file beside a prepared folder: the same ground truth as the dataset's, and never an older one."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pycocotools import mask as coco

from earthreason import evaluate, load_dataset
from earthreason.data.configs import get_config
from earthreason.data.prepared import split_files
from earthreason.errors import DataFormatError, UnknownNameError
from earthreason.masks.png import encode_mask_png
from earthreason.metrics import truth
from earthreason.metrics.truth import load_references, references_of
from earthreason.types import OPTIONAL_FACTS

FACTS = {
    "category": "lake",
    "ground_resolution": 0.5,
    "source": "drone",
    "reasoning_type": "spatial",
    "unseen": "wording",
}


@pytest.fixture
def own(release):
    """A release of one's own whose sample `e` states every fact; `f` is empty and states none."""
    path = release / "test" / "QAs" / "e.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | FACTS))
    return release


@pytest.fixture
def unread(monkeypatch):
    """Make every reading of parquet files an error, so that only the truth file can answer."""

    def refuse():
        monkeypatch.setattr(truth, "_rows_of_files", lambda files: pytest.fail("the parquet files were read"))

    return refuse


def truth_files(folder: Path, split: str = "test") -> list[Path]:
    return sorted((folder.parent / "truth").glob(f"{split}-*.json"))


def edit(folder: Path, **columns) -> None:
    """Change the first row of the test split in place, as somebody with pyarrow would."""
    (path,) = split_files(folder, "test")
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[0] |= columns
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


@pytest.mark.parametrize("config", ["sample", "default"])
def test_the_truth_file_holds_every_mask_and_fact_of_the_dataset(config, own, unread):
    data_dir = None if config == "sample" else own
    load_references(config, "test", data_dir)
    unread()
    references = load_references(config, "test", data_dir)
    rows = load_dataset("earthreason", config, split="test", data_dir=data_dir)
    assert list(references) == rows["sample_id"]
    for row in rows:
        reference = references[row["sample_id"]]
        assert np.array_equal(coco.decode(dict(reference.segmentation)), np.asarray(row["mask"]) > 0)
        assert reference.optional_facts() == {fact: row[fact] for fact in OPTIONAL_FACTS}
        assert reference.question_count == len(row["questions"])
    assert references.source == f"{config} test"
    if config == "default":
        assert references["e"].optional_facts() == FACTS
        assert (references["e"].area, references["f"].area) == (60, 0)  # 6 x 10 pixels in conftest.py


@pytest.mark.parametrize("config", ["sample", "default"])
def test_scores_and_breakdowns_from_the_truth_file_equal_those_from_the_dataset(config, own, unread):
    data_dir = None if config == "sample" else own
    rows = load_dataset("earthreason", config, split="test", data_dir=data_dir)
    loaded = references_of(rows, f"{config} test")
    assert dict(load_references(config, "test", data_dir)) == dict(loaded)
    unread()
    kept = load_references(config, "test", data_dir)
    assert dict(kept) == dict(loaded)
    left = {}
    for row in rows:
        left[row["sample_id"]] = np.asarray(row["mask"]) > 0
        left[row["sample_id"]][:, row["width"] // 2 :] = False
    ours, theirs = (evaluate(left, each, "native", resamples=50) for each in (kept, loaded))
    contents = [each.to_dict() for each in (ours, theirs)]
    for content in contents:
        content["provenance"].pop("date")  # they may differ by a second
    assert contents[0] == contents[1]
    masks = [np.asarray(row["mask"]) > 0 for row in rows]
    halves = [
        left[row["sample_id"]].sum() / mask.sum() if mask.any() else 1.0 for row, mask in zip(rows, masks, strict=True)
    ]
    assert ours["gIoU"] == pytest.approx(np.mean(halves))


def test_val_and_validation_are_one_file(own):
    assert dict(load_references("default", "val", own)) == dict(load_references("default", "validation", own))
    assert len(truth_files(get_config("default").prepare(own), "validation")) == 1


def test_a_changed_parquet_file_is_scored_as_it_is_now(own):
    load_references("default", "test", own)
    folder = get_config("default").prepare(own)
    before = truth_files(folder)
    mask = np.zeros((24, 32), bool)
    mask[0, :7] = True
    edit(folder, mask={"bytes": encode_mask_png(mask), "path": None}, category="harbour")
    for _ in range(2):  # the second time from the new truth file
        reference = load_references("default", "test", own)["e"]
        assert (reference.area, reference.category) == (7, "harbour")
    after = truth_files(folder)
    assert len(before) == len(after) == 1
    assert before != after


@pytest.mark.parametrize("content", ["", "{", '{"samples": [{"sample_id": "e"}]}'])
def test_a_broken_truth_file_is_replaced(content, own):
    expected = dict(load_references("default", "test", own))
    (path,) = truth_files(get_config("default").prepare(own))
    good = path.read_text()
    path.write_text(content)
    assert dict(load_references("default", "test", own)) == expected
    assert path.read_text() == good


def test_truth_that_cannot_be_kept_is_still_loaded(own):
    folder = get_config("default").prepare(own)
    (folder.parent / "truth").write_text("not a folder")
    assert load_references("default", "test", own)["e"].area == 60


def test_a_number_that_json_lacks_is_loaded_and_not_kept(own):
    folder = get_config("default").prepare(own)
    edit(folder, ground_resolution=float("nan"))
    assert np.isnan(load_references("default", "test", own)["e"].ground_resolution)
    assert truth_files(folder) == []


def test_hidden_labels_are_refused_and_leave_no_truth_file(own):
    folder = get_config("default").prepare(own)
    edit(folder, mask=None)
    with pytest.raises(DataFormatError, match="default test: labels are hidden"):
        load_references("default", "test", own)
    assert not (folder.parent / "truth").exists()


def test_a_slice_and_an_unknown_split_are_left_to_the_dataset(own, unread):
    unread()
    assert list(load_references("default", "test[:1]", own)) == ["e"]
    assert list(load_references("default", "val+test", own)) == ["d", "e", "f"]
    with pytest.raises(UnknownNameError, match="unknown split 'tset'; did you mean 'test'"):
        load_references("default", "tset", own)


def test_a_truth_file_of_an_older_edition_is_replaced(own, monkeypatch):
    load_references("default", "test", own)
    folder = get_config("default").prepare(own)
    (old,) = truth_files(folder)
    old.write_text(old.read_text().replace(FACTS["category"], "harbour"))
    assert load_references("default", "test", own)["e"].category == "harbour"
    monkeypatch.setattr(truth, "EDITION", truth.EDITION + 1)
    assert load_references("default", "test", own)["e"].category == FACTS["category"]
    (new,) = truth_files(folder)
    assert new != old


def test_a_sample_without_a_question_is_scored_once(own):
    edit(get_config("default").prepare(own), questions=[])
    assert load_references("default", "test", own)["e"].question_count == 1
