"""`--shard` and `earthreason merge` on the command line."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from earthreason.cli.main import app
from earthreason.errors import EarthReasonError
from earthreason.masks.rle import encode_mask
from earthreason.predictions import write_predictions
from earthreason.types import Prediction


def invoke(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Five samples as ground truth, and their predictions."""
    monkeypatch.chdir(tmp_path)
    masks = [encode_mask(np.eye(6, k=shift)) for shift in range(5)]
    samples = [{"sample_id": str(n), "segmentation": mask} for n, mask in enumerate(masks)]
    (tmp_path / "truth.json").write_text(json.dumps({"samples": samples}))
    write_predictions(tmp_path / "preds.json", [Prediction(str(n), masks[n // 2]) for n in range(5)])
    return tmp_path


def test_parts_are_counted_merged_and_scored_as_the_whole(folder):
    common = "--ground-truth", "truth.json", "--json", "-", "--resamples", "20"
    whole = json.loads(invoke("eval", "preds.json", *common).stdout)
    for number in (1, 2):
        told = invoke(
            *("eval", "preds.json", "--ground-truth", "truth.json"),
            *("--shard", f"{number}/2", "--counts", f"counts-{number}.parquet"),
        )
        assert f"part {number}/2; merge all parts: earthreason merge" in told.stderr + told.stdout
    assert "counts of 2 parts" in invoke("merge", "counts-1.parquet", "counts-2.parquet", "--out", "c.parquet").stdout
    merged = json.loads(invoke("eval", "c.parquet", *common).stdout)
    for result in (*whole["results"], *merged["results"]):
        del result["provenance"]["date"]
    assert merged == whole


def test_a_part_without_a_file_for_its_counts_is_refused(folder):
    with pytest.raises(EarthReasonError, match=r"--shard needs --counts FILE\.parquet"):
        invoke("eval", "preds.json", "--ground-truth", "truth.json", "--shard", "1/2")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("verify", "sample", "--shard", "1/2"), "--shard needs --journal"),
        (("verify", "sample", "--shard", "3/2", "--journal", "f.jsonl"), "--shard 3/2: parts count from 1"),
        (("export", "sample", "--format", "coco", "--out", "o", "--shard", "x"), "write I/N"),
        (("questions", "generate", "sample", "--out", "o", "--shard", "0/2", "--dry-run"), "parts count from 1"),
    ],
)
def test_a_part_that_cannot_be_is_refused_before_anything_is_done(folder, command, reason):
    with pytest.raises(EarthReasonError, match=reason):
        invoke(*command)
    assert sorted(path.name for path in folder.iterdir()) == ["preds.json", "truth.json"]
