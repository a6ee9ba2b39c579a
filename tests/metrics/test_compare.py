import numpy as np
import pytest

from earthreason import evaluate
from earthreason.errors import EarthReasonError
from earthreason.metrics.compare import compare_results

TRUTH = {f"s{k:02d}": np.arange(100).reshape(10, 10) < 10 + 2 * k for k in range(30)}


def shrunk(by: int):
    return {name: np.roll(mask, by, axis=0) & mask for name, mask in TRUTH.items()}


def results(*predictions):
    return [evaluate(p, TRUTH, "native", resamples=0) for p in predictions]


def test_a_better_model_wins_with_a_small_p_value():
    (comparison,) = compare_results(results(shrunk(3), TRUTH), resamples=1000)
    assert comparison.wins == 30
    assert comparison.losses == comparison.ties == 0
    assert comparison.differences["gIoU"].value > 0
    assert comparison.differences["gIoU"].p_value < 0.01


def test_a_model_against_itself_ties_everywhere():
    (comparison,) = compare_results(results(TRUTH, TRUTH), resamples=100)
    assert comparison.ties == 30
    assert comparison.differences["cIoU"].p_value == 1


def test_the_samples_that_moved_most_come_first():
    worse = dict(TRUTH)
    worse["s07"] = None
    (comparison,) = compare_results(results(TRUTH, worse), resamples=100)
    assert comparison.moved(1)["sample_id"].tolist() == ["s07"]
    assert comparison.to_dict()["moved"][0]["second"] == 0


def test_every_other_model_is_compared_with_the_first():
    comparisons = compare_results(results(TRUTH, shrunk(1), shrunk(2)), resamples=100)
    assert len(comparisons) == 2


def test_different_questions_do_not_compare():
    other = evaluate({"x": np.ones((3, 3))}, {"x": np.ones((3, 3))}, "native", resamples=0)
    with pytest.raises(EarthReasonError, match="not scored on the same questions"):
        compare_results([*results(TRUTH), other])
    with pytest.raises(EarthReasonError, match="at least two"):
        compare_results(results(TRUTH))
