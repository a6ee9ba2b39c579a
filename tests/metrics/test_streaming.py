"""Scores of streams, which are those of sets in memory."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earthreason import load_dataset
from earthreason.errors import DataFormatError, EarthReasonError, PredictionsError
from earthreason.masks.rle import encode_mask
from earthreason.metrics import blocks, facts, streaming
from earthreason.metrics.evaluate import evaluate_protocols
from earthreason.metrics.facts import FactTable
from earthreason.metrics.protocols import PROTOCOLS
from earthreason.metrics.references import Reference, References
from earthreason.metrics.result import NotScored
from earthreason.metrics.streaming import evaluate_stream
from earthreason.metrics.truth import stream_references
from earthreason.predictions import write_predictions
from earthreason.predictions.reader import open_predictions
from earthreason.types import Prediction
from tests.metrics.test_counted import described, make_set

SQUARE = encode_mask(np.ones((4, 4)))
FIRST = [name for name, rules in PROTOCOLS.items() if rules.questions == "first"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(samples=st.integers(1, 14), seed=st.integers(0, 99))
def test_a_stream_gives_every_figure_interval_and_group_of_the_set_in_any_order(tmp_path, samples, seed):
    path, truth = make_set(tmp_path, samples, seed)
    options = {"resamples": 40, "seed": 3}
    whole = evaluate_protocols(path, truth, list(PROTOCOLS), **options)
    streamed = evaluate_stream(
        open_predictions(path), iter(truth.values()), list(PROTOCOLS), source=truth.source, **options
    )
    for one, other in zip(streamed, whole, strict=True):
        here, there = described(one), described(other)
        for name in ("config", "split", "dataset_sha256"):
            here["provenance"].pop(name), there["provenance"].pop(name)
        assert here == there
    assert streamed[0].per_sample.equals(whole[0].per_sample)


def test_samples_without_a_prediction_score_as_in_the_set(tmp_path):
    path = tmp_path / "preds.jsonl"
    write_predictions(path, [Prediction("b", SQUARE)])
    truth = References([Reference(name, SQUARE) for name in "abc"], "truth")
    whole = evaluate_protocols(path, truth, FIRST, missing="empty", resamples=0)
    streamed = evaluate_stream(open_predictions(path), iter(truth.values()), FIRST, missing="empty", resamples=0)
    assert [r.scores for r in streamed] == [r.scores for r in whole]
    with pytest.raises(PredictionsError, match="2 unanswered, of 3 samples"):
        evaluate_stream(open_predictions(path), iter(truth.values()), FIRST)


def test_the_hash_of_sorted_ground_truth_is_that_of_the_set(tmp_path):
    path = tmp_path / "preds.jsonl"
    write_predictions(path, [Prediction(name, SQUARE) for name in "abc"])
    truth = References([Reference(name, SQUARE) for name in "abc"], "truth")
    (result,) = evaluate_stream(open_predictions(path), iter(truth.values()), ["native"])
    assert result.provenance["dataset_sha256"] == truth.fingerprint()
    (result,) = evaluate_stream(open_predictions(path), reversed(list(truth.values())), ["native"])
    assert result.provenance["dataset_sha256"] is None


def test_masks_are_dropped_where_the_orders_agree(tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "_RECENT", 3)
    monkeypatch.setattr(streaming, "_TOGETHER", 2)
    names = [f"s{number:03d}" for number in range(60)]
    path = tmp_path / "preds.jsonl"
    write_predictions(path, [Prediction(name, SQUARE) for name in names])
    alive = []

    class Watched(Reference):
        def __del__(self):
            alive.remove(self.sample_id)

    most = 0

    def truth():
        nonlocal most
        for name in names:
            alive.append(name)
            most = max(most, len(alive))
            yield Watched(name, SQUARE)

    (result,) = evaluate_stream(open_predictions(path), truth(), ["native"], resamples=0)
    assert result["gIoU"] == 1
    assert most <= 10


def test_faults_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "_RECENT", 1)
    path = tmp_path / "preds.jsonl"
    wrong = encode_mask(np.ones((4, 5)))
    several = [Prediction(name, mask) for name, mask in [("a", SQUARE), ("b", wrong), ("c", SQUARE), ("d", SQUARE)]]
    write_predictions(path, [*several, Prediction("x", None), Prediction("a", SQUARE)])
    truth = [Reference(name, SQUARE) for name in "abcd"]
    with pytest.raises(PredictionsError) as caught:
        evaluate_stream(open_predictions(path), iter(truth), ["native"], source="truth")
    told = str(caught.value)
    assert "sample 'x': not in truth" in told
    assert "sample 'b': " in told
    assert "sample 'a': predictions of this sample are far apart" in told


def test_a_question_answered_twice_is_refused(tmp_path):
    path = tmp_path / "preds.jsonl"
    write_predictions(path, [Prediction("a", SQUARE), Prediction("a", None), Prediction("b", None)])
    truth = [Reference(name, SQUARE) for name in "ab"]
    with pytest.raises(PredictionsError, match="sample 'a': predicted more than once"):
        evaluate_stream(open_predictions(path), iter(truth), ["native"])


def test_streams_without_predictions_or_without_samples_are_refused_in_words(tmp_path):
    path = tmp_path / "preds.jsonl"
    write_predictions(path, [])
    with pytest.raises(PredictionsError, match="1 unanswered, of 1 sample"):
        evaluate_stream(open_predictions(path), iter([Reference("a", SQUARE)]), ["native"])
    with pytest.raises(EarthReasonError, match="truth: there are no samples to score against"):
        evaluate_stream(open_predictions(path), iter([]), ["native"], source="truth")
    write_predictions(path, [Prediction("a", SQUARE)])
    with pytest.raises(EarthReasonError, match="truth: there are no samples to score against"):
        evaluate_stream(open_predictions(path), iter([]), ["native"], source="truth")


@pytest.mark.parametrize("order", [1, -1])
def test_streams_longer_than_a_block_find_every_sample_and_the_question_answered_twice(tmp_path, monkeypatch, order):
    monkeypatch.setattr(blocks, "BLOCK", 4)
    monkeypatch.setattr(facts, "BLOCK", 4)
    monkeypatch.setattr(streaming, "_TOGETHER", 3)
    names = [f"s{number:02d}" for number in range(14)]
    truth = [Reference(name, SQUARE, category=name[-1]) for name in names[::order]]
    path = tmp_path / "preds.jsonl"
    answers = [Prediction(name, SQUARE if name < "s07" else None) for name in [*names[5:], *names[:5]]]
    write_predictions(path, answers)
    (result,) = evaluate_stream(open_predictions(path), iter(truth), ["native"], resamples=0)
    assert result["gIoU"] == 0.5  # 7 of 14
    assert result.counts.sample_id.tolist() == names
    assert dict(result.breakdowns["category"]["n"]) == {digit: 2 if digit < "4" else 1 for digit in "0123456789"}
    write_predictions(path, [*answers, answers[3]])
    with pytest.raises(PredictionsError, match=f"sample '{names[8]}': predicted more than once"):
        evaluate_stream(open_predictions(path), iter(truth), ["native"])


def test_a_sample_that_appears_twice_in_the_ground_truth_is_refused(tmp_path):
    path = tmp_path / "preds.jsonl"
    write_predictions(path, [Prediction("a", SQUARE)])
    with pytest.raises(DataFormatError, match="sample 'a' appears twice"):
        evaluate_stream(open_predictions(path), iter([Reference("a", SQUARE)] * 2), ["native"])


def test_a_protocol_that_needs_more_questions_is_told_apart(tmp_path):
    path = tmp_path / "preds.jsonl"
    write_predictions(path, [Prediction("a", SQUARE)])
    every = next(name for name, rules in PROTOCOLS.items() if rules.questions == "all")
    results = evaluate_stream(open_predictions(path), iter([Reference("a", SQUARE, 2)]), ["native", every])
    assert isinstance(results[1], NotScored)


def test_rows_of_a_streamed_split_are_scored(tmp_path):
    rows = load_dataset("earthreason", "sample", split="test")
    path = tmp_path / "preds.jsonl"
    write_predictions(path, [Prediction(name, None) for name in rows["sample_id"]])
    streamed = evaluate_stream(
        open_predictions(path), stream_references(rows.to_iterable_dataset()), ["segearth-r1", "native"], resamples=0
    )
    whole = evaluate_protocols(path, rows, ["segearth-r1", "native"], resamples=0)
    assert [r.scores for r in streamed] == [r.scores for r in whole]


def test_a_mask_that_was_dropped_is_not_invented():
    table = FactTable("truth")
    table.add(Reference("a", SQUARE, category="lake", ground_resolution=0.5))
    table.add(Reference("b", encode_mask(np.zeros((2, 3)))))
    first, second = table["a"], table["b"]
    assert (first.area, first.is_empty, first.category, first.ground_resolution) == (16, False, "lake", 0.5)
    assert (second.height, second.width, second.is_empty, second.category) == (2, 3, True, None)
    assert second.ground_resolution is None
    with pytest.raises(EarthReasonError, match="mask of sample 'a' was not kept"):
        _ = first.segmentation
