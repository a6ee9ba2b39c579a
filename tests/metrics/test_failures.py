"""A failure to answer is wrong whatever the target is; it is neither "no target" nor a missing prediction."""

import json

import numpy as np
import pytest
from rich.console import Console

from earthreason import evaluate
from earthreason.errors import PredictionsError
from earthreason.masks.rle import encode_mask
from earthreason.metrics.accumulator import RegionAccumulator
from earthreason.metrics.protocols import PROTOCOLS
from earthreason.predictions.reader import open_predictions
from earthreason.reports.table import print_protocols, print_results

FIELD = np.zeros((10, 10), bool)
FIELD[:4, :5] = True  # 20 pixels
TRUTH = {"field": FIELD, "sea": np.zeros((10, 10)), "other field": FIELD, "other sea": np.zeros((10, 10))}
RECORDS = [
    {"sample_id": "field", "segmentation": encode_mask(FIELD)},
    {"sample_id": "sea", "segmentation": None},
    {"sample_id": "other field", "segmentation": None, "failure": "no JSON in it"},
    {"sample_id": "other sea", "segmentation": None, "failure": "no JSON in it"},
]


@pytest.fixture(params=["json", "jsonl"])
def predictions(request, tmp_path):
    path = tmp_path / f"preds.{request.param}"
    if request.param == "json":
        path.write_text(json.dumps({"info": {}, "predictions": RECORDS}))
    else:
        path.write_text("\n".join(map(json.dumps, RECORDS)))
    return path


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("gIoU", (1 + 1 + 0 + 0) / 4),
        ("cIoU", 20 / (20 + 20)),  # the failure on a target adds its 20 pixels to the union
        ("gIoU targets", 1 / 2),
        ("Dice", 2 / 4),
        ("N-acc", 1 / 2),
        ("T-acc", 1 / 2),
        ("recall", 20 / 40),
        ("precision", 20 / 20),
        ("Pr@0.5", 2 / 4),
        ("Boundary IoU", 2 / 4),
    ],
)
def test_two_failures_among_four_by_hand(predictions, metric, expected):
    result = evaluate(predictions, TRUTH, "native", resamples=0, boundary=True)
    assert result[metric] == pytest.approx(expected, abs=1e-12)
    assert result.failed == 2
    assert result.missing == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_protocol_rewards_a_failure(protocol):
    truth = {"sea": np.zeros((10, 10)), "field": FIELD}
    failed = [{"sample_id": name, "segmentation": None, "failure": "cut off"} for name in truth]
    result = evaluate(failed, truth, protocol, resamples=0)
    assert result["gIoU"] == 0
    assert result["N-acc"] == 0
    assert result["T-acc"] == 0


def test_a_failure_with_a_mask_is_refused(tmp_path):
    path = tmp_path / "preds.json"
    path.write_text(json.dumps([{**RECORDS[0], "failure": "cut off"}]))
    with pytest.raises(PredictionsError, match="a failure has no mask; write null"):
        evaluate(path, {"field": FIELD}, "native")


def test_what_is_printed_says_how_many_failed(predictions):
    console = Console(record=True, width=200)
    result = evaluate(predictions, TRUTH, "native", resamples=0)
    print_results([result], console)
    print_protocols([result], console)
    seen = console.export_text()
    assert "2 answers unreadable and scored as wrong" in seen
    assert "2 unreadable scored as wrong" in seen
    assert result.to_dict()["failed"] == 2


def test_a_failed_part_makes_the_united_question_a_failure(tmp_path):
    path = tmp_path / "preds.json"
    path.write_text(json.dumps([RECORDS[0], {"sample_id": "field", "segmentation": None, "failure": "cut off"}]))
    result = evaluate(open_predictions(path, "union"), {"field": FIELD}, "native", resamples=0)
    assert (result.failed, result["gIoU"]) == (1, 0)


def test_states_saved_before_there_were_failures_have_none():
    judge = RegionAccumulator("native")
    judge.update("field", FIELD, FIELD)
    state = judge.to_dict()
    assert all(table.pop("failed") == [False] for table in state["tables"].values())
    assert RegionAccumulator.from_dict(state).compute()["gIoU"] == 1
