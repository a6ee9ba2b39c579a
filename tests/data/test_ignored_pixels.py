"""Ignored pixels travel from ReasonSeg's files through tables and exports to the judge."""

import json

import numpy as np
import pytest
from PIL import Image

import earthreason
from earthreason.data.exports import export
from earthreason.data.load import load_dataset
from earthreason.data.reader import open_source
from earthreason.data.schema import sample_of_row
from earthreason.errors import EarthReasonError
from earthreason.masks.rle import decode_rle
from earthreason.metrics.inputs import as_references
from earthreason.metrics.truth import references_of


def square(label, low, high):
    return {"label": label, "points": [[low, low], [high, low], [high, high], [low, high]]}


@pytest.fixture
def reasonseg(tmp_path):
    folder = tmp_path / "set" / "val"
    folder.mkdir(parents=True)
    for name, shapes in {
        "a": [square("target", 0, 9), square("ignore", 12, 19)],
        "b": [square("target", 2, 5)],
    }.items():
        Image.new("RGB", (20, 20)).save(folder / f"{name}.jpg")
        (folder / f"{name}.json").write_text(json.dumps({"text": ["where?"], "is_sentence": True, "shapes": shapes}))
    return tmp_path / "set"


def ignored(side=20):
    mask = np.zeros((side, side), bool)
    mask[12:, 12:] = True
    return mask


def test_a_table_holds_them_and_the_judge_leaves_them_out(reasonseg):
    rows = load_dataset("earthreason", "reasonseg", data_dir=reasonseg, split="validation")
    assert rows["ignore"][1] is None
    samples = list(map(sample_of_row, rows))
    assert np.array_equal(samples[0].ignore, ignored())
    assert samples[1].ignore is None
    predictions = {sample.sample_id: sample.mask for sample in samples}
    predictions["val_a" if "val_a" in predictions else samples[0].sample_id] = samples[0].mask | ignored()
    for truth in (rows, samples):
        references = as_references(truth)
        assert np.array_equal(decode_rle(references[samples[0].sample_id].ignore), ignored())
        assert earthreason.evaluate(predictions, truth, "lisa", resamples=0)["gIoU"] == pytest.approx(1, abs=1e-5)
        # 100 of the 164 marked pixels are target.
        assert earthreason.evaluate(predictions, truth, "geo-r1", resamples=0)["gIoU"] == (100 / 164 + 1) / 2


@pytest.mark.parametrize("form", ["parquet", "coco", "webdataset"])
def test_exports_keep_them(reasonseg, tmp_path, form):
    rows = load_dataset("earthreason", "reasonseg", data_dir=reasonseg, split="validation")
    (tmp_path / "parquet").mkdir()
    rows.to_parquet(tmp_path / "parquet" / "val-00000.parquet")
    source = open_source(tmp_path / "parquet")
    export(source, form, tmp_path / "out")
    (before, after) = (list(each.read("validation")) for each in (source, open_source(tmp_path / "out")))
    assert before == after
    assert [record.ignore is None for record in after] == [False, True]


def test_the_layout_of_the_release_has_no_place_for_them(reasonseg, tmp_path):
    rows = load_dataset("earthreason", "reasonseg", data_dir=reasonseg, split="validation")
    (tmp_path / "parquet").mkdir()
    rows.to_parquet(tmp_path / "parquet" / "val-00000.parquet")
    with pytest.raises(EarthReasonError, match="has ignored pixels.*export as parquet, coco or webdataset"):
        export(open_source(tmp_path / "parquet"), "release", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_sets_without_the_column_still_load(tmp_path):
    rows = load_dataset("earthreason", "sample", split="test[:3]").remove_columns("ignore")
    (tmp_path / "old").mkdir()
    rows.to_parquet(tmp_path / "old" / "test-00000.parquet")
    loaded = load_dataset("earthreason", data_dir=tmp_path / "old", split="test")
    assert loaded["ignore"][:] == [None] * 3
    assert all(reference.ignore is None for reference in references_of(rows, "old").values())
    assert sample_of_row(rows[0]).ignore is None
