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


def test_a_paired_interval_holds_95_percent():
    # The mean of 2,000 differences is normal to three digits: its 95 % interval is mean +- 1.960 s / sqrt(n), while a
    # 90 % interval has 1.645 and a 99 % interval 2.576.
    rng = np.random.default_rng(4)
    a = rng.random(2_000)
    change = rng.normal(0.02, 0.1, 2_000)
    interval = paired_differences({"x": terms(a)}, {"x": terms(a + change)}, ids(2_000), resamples=4_000)["x"].interval
    half = 1.960 * change.std() / np.sqrt(2_000)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.06)
    assert interval.low == pytest.approx(change.mean() - half, abs=0.06 * half * 2)
    assert interval.high == pytest.approx(change.mean() + half, abs=0.06 * half * 2)


def test_a_single_interval_holds_95_percent():
    values = np.random.default_rng(5).normal(0.5, 0.1, 2_000)
    interval = bootstrap_intervals({"x": terms(values)}, ids(2_000), resamples=4_000)["x"]
    assert interval.high - interval.low == pytest.approx(2 * 1.960 * values.std() / np.sqrt(2_000), rel=0.06)


def test_the_smallest_p_value_counts_the_observed_difference():
    # 12 images that all change alike: of 2 ** 12 swaps only "all" and "none" give as large a difference, so with few
    # resamples hardly any does, and p is (hits + 1) / (resamples + 1), never 0.
    a, b = terms(np.zeros(12)), terms(np.ones(12))
    difference = paired_differences({"x": a}, {"x": b}, ids(12), resamples=99)["x"]
    assert difference.value == 1
    assert difference.p_value >= 1 / 100
    assert round(difference.p_value * 100) == pytest.approx(difference.p_value * 100)
    # With two images half of the swaps are "all" or "none": p is near 1/2.
    even = paired_differences({"x": terms([0, 0])}, {"x": terms([1, 1])}, ids(2), resamples=4_000)["x"]
    assert even.p_value == pytest.approx(0.5, abs=0.04)
