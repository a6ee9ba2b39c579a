import numpy as np
import pytest
from scipy import stats

from earthreason.metrics.scores import Terms
from earthreason.metrics.statistics import bootstrap_intervals, paired_differences


def terms(values, weights=None):
    values = np.asarray(values, float)
    return Terms(values, np.ones(len(values)) if weights is None else np.asarray(weights, float))


def ids(n):
    return np.array([f"s{k}" for k in range(n)], object)


def test_interval_of_a_mean_agrees_with_scipy():
    values = np.random.default_rng(0).beta(2, 2, 200)
    ours = bootstrap_intervals({"gIoU": terms(values)}, ids(200), resamples=10_000)["gIoU"]
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=10_000, random_state=1)
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.004)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.004)


def test_images_are_resampled_not_questions():
    values = np.repeat(np.random.default_rng(0).random(30), 10)  # ten questions of one image always agree
    images = np.array([f"s{k // 10}" for k in range(300)], object)
    clustered = bootstrap_intervals({"x": terms(values)}, images)["x"]
    naive = bootstrap_intervals({"x": terms(values)}, ids(300))["x"]
    assert clustered.high - clustered.low > 2 * (naive.high - naive.low)


def test_same_seed_gives_same_interval_and_another_seed_another():
    metric = {"x": terms(np.random.default_rng(0).random(50))}
    first, again, other = (bootstrap_intervals(metric, ids(50), resamples=500, seed=s)["x"] for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_metric_defined_for_hardly_any_resample_has_no_interval():
    rare = np.zeros(100)
    rare[0] = 1
    assert "x" not in bootstrap_intervals({"x": Terms(rare * 0, rare * 0)}, ids(100), resamples=100)


def test_a_model_against_itself_differs_by_nothing():
    metric = {"x": terms(np.random.default_rng(0).random(40))}
    difference = paired_differences(metric, metric, ids(40), resamples=200)["x"]
    assert difference.value == 0
    assert difference.p_value == 1


def test_permutation_p_value_agrees_with_scipy_on_a_mean():
    rng = np.random.default_rng(3)
    a = rng.random(60)
    b = a + rng.normal(0.03, 0.1, 60)
    ours = paired_differences({"x": terms(a)}, {"x": terms(b)}, ids(60), resamples=10_000)["x"]
    theirs = stats.permutation_test(
        (a, b), lambda x, y: np.mean(y) - np.mean(x), permutation_type="samples", n_resamples=10_000, rng=1
    )
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=0.02)


def test_a_clear_difference_is_significant_for_a_ratio_of_sums():
    rng = np.random.default_rng(0)
    union = rng.integers(50, 100, 80).astype(float)
    a, b = Terms(union * 0.4, union), Terms(union * 0.6, union)
    difference = paired_differences({"cIoU": a}, {"cIoU": b}, ids(80), resamples=2_000)["cIoU"]
    assert difference.value == pytest.approx(0.2)
    assert difference.p_value < 0.001
    assert difference.interval.low == pytest.approx(0.2)
