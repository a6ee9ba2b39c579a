"""Predictions may name the samples of the release by file stem; what could mean two samples is refused."""

import json

import numpy as np
import pytest
from PIL import Image

from earthreason.errors import PredictionsError
from earthreason.metrics.evaluate import evaluate
from earthreason.metrics.references import Reference, References
from earthreason.predictions.reader import open_predictions
from tests.data.releases import fabricate

# 2 x 2 masks, column by column: pixel 0 only, and all. IoU of the first with the second is 1/4.
CORNER, ALL = {"size": [2, 2], "counts": "013"}, {"size": [2, 2], "counts": "04"}


def truth(*ids):
    return References([Reference(name, ALL) for name in ids], "the split")


def predictions(path, *ids):
    path.write_text(json.dumps([{"sample_id": name, "segmentation": CORNER} for name in ids]))
    return open_predictions(path)


def giou(given, references):
    return evaluate(given, references, "native", resamples=0).scores["gIoU"]


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (["test-0001", "test-0002"], ["0001", "0002"]),
        (["test-0001", "test-0002"], ["test-0001", "0002"]),
        (["val-0001.tif"], ["0001.tif"]),
        (["val-0001.tif"], ["0001"]),
        (["val-0001.tif"], ["val-0001"]),
        (["test-0001", "0001"], ["0001", "test-0001"]),
        (["test-café"], ["cafe\u0301"]),
    ],
)
def test_stems_and_ids_name_the_same_samples(tmp_path, ids, names):
    references = truth(*ids)
    assert giou(predictions(tmp_path / "p.json", *names), references) == pytest.approx(0.25)
    lines = tmp_path / "p.jsonl"
    lines.write_text("".join(json.dumps({"sample_id": name, "segmentation": CORNER}) + "\n" for name in names))
    assert giou(open_predictions(lines), references) == pytest.approx(0.25)
    folder = tmp_path / "masks"
    folder.mkdir()
    for name in names:
        Image.fromarray(np.array([[255, 0], [0, 0]], np.uint8)).save(folder / f"{name}.png")
    assert giou(open_predictions(folder), references) == pytest.approx(0.25)


def test_a_stem_of_two_samples_is_refused_in_one_line(tmp_path):
    with pytest.raises(PredictionsError) as caught:
        giou(predictions(tmp_path / "p.json", "0001"), truth("train-0001", "test-0001"))
    [fault] = caught.value.faults
    assert "may mean 'train-0001' or 'test-0001', so write the whole id" in fault


def test_two_names_of_one_sample_are_a_sample_predicted_twice(tmp_path):
    with pytest.raises(PredictionsError, match="test-0001.*predicted more than once"):
        giou(predictions(tmp_path / "p.json", "0001", "test-0001"), truth("test-0001"))


def test_predictions_of_a_release_score_by_stem_whatever_other_splits_are_there(tmp_path):
    """The masks are the fabricator's, so every IoU is 1 by definition."""
    from earthreason.metrics.truth import load_references

    made = fabricate(tmp_path / "data", ("images doubled",))
    masks = {stem: expected.mask for stem, expected in made.samples["test"].items()}
    assert giou(masks, load_references(None, "test", tmp_path / "data")) == 1.0
