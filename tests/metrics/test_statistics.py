import operator

import numpy as np
import pytest
from scipy import stats

from earthreason.metrics import statistics
from earthreason.metrics.scores import Terms
from earthreason.metrics.statistics import Interval, bootstrap_intervals, paired_differences


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
    assert bootstrap_intervals(metric, ids(50), 500) == bootstrap_intervals(metric, ids(50), 500, seed=0)


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
    # No image differs from 0.2, so that no resample does. The formula of Bonett and Price for 80 images, by hand: gains
    # of (0.2 * 80 + 1) / 82 = 0.20732, losses of 1 / 82 = 0.01220, a difference of 0.19512 and a half-width of
    # 1.95996 * sqrt((0.21951 - 0.03807) / 82) = 0.09220. Unions of 50 to 99 weigh a little less than 80 equal images.
    assert difference.interval.low == pytest.approx(0.1029, abs=0.003)
    assert difference.interval.high == pytest.approx(0.2873, abs=0.003)


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


@pytest.mark.parametrize(
    ("other", "overlaps"),
    [((0.3, 0.5), True), ((0.1, 0.2), True), ((0.25, 0.28), True), ((0.31, 0.5), False), ((0, 0.19), False)],
)
def test_intervals_overlap_where_they_share_a_value(other, overlaps):
    interval, other = Interval(0.2, 0.3), Interval(*other)
    assert interval.overlaps(other) is overlaps
    assert other.overlaps(interval) is overlaps


@pytest.mark.parametrize("resamples", [7, 8, 9])
def test_blocks_of_any_size_draw_every_image_as_often_as_there_are_images(monkeypatch, resamples):
    monkeypatch.setattr(statistics, "_BLOCK_WEIGHTS", 12)  # blocks of 4 resamples of 3 images
    blocks = list(statistics._resample_weights(3, resamples, seed=0))
    assert [len(block) for block in blocks] == {7: [4, 3], 8: [4, 4], 9: [4, 4, 1]}[resamples]
    assert all(block.dtype == np.float64 and (block.sum(axis=1) == 3).all() for block in blocks)


def test_blocks_hold_one_resample_where_no_more_fit(monkeypatch):
    monkeypatch.setattr(statistics, "_BLOCK_WEIGHTS", 2)
    assert [block.shape for block in statistics._resample_weights(3, 2, seed=0)] == [(1, 3), (1, 3)]


def test_no_resamples_or_no_questions_give_no_intervals():
    assert bootstrap_intervals({"x": terms([1, 0])}, ids(2), resamples=0) == {}
    assert bootstrap_intervals({"x": terms([])}, ids(0)) == {}
    assert bootstrap_intervals({}, ids(2)) == {}
    assert paired_differences({}, {}, ids(2)) == {}
    assert paired_differences({"x": terms([])}, {"x": terms([])}, ids(0)) == {}


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_an_interval_needs_more_than_half_of_the_resamples():
    # Only one of 40 images counts. A resample leaves it out with probability (39/40) ** 40 = 36 %.
    counts = np.zeros(40)
    counts[0] = 1
    interval = bootstrap_intervals({"x": Terms(counts * 0.5, counts)}, ids(40), resamples=500)["x"]
    assert (interval.low, interval.high) == (0.5, 0.5)
    # An epsilon does not turn 0 / 0 into a score of 0.
    interval = bootstrap_intervals({"x": Terms(counts * 0.5, counts, epsilon=1e-9)}, ids(40), resamples=500)["x"]
    assert interval.low == pytest.approx(0.5)


def test_two_images_give_an_interval_by_hand():
    # The mean of 0 and 1 in a resample of two is 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4: the 2.5th and the 97.5th
    # percentile are 0 and 1. An epsilon of 2 in the denominator of 2 halves the score.
    values = np.array([0.0, 1.0])
    plain, padded = Terms(values, np.ones(2)), Terms(values, np.ones(2), epsilon=2.0)
    found = bootstrap_intervals({"plain": plain, "padded": padded}, ids(2), resamples=400)
    assert found == {"plain": Interval(0, 1), "padded": Interval(0, 0.5)}


def test_metrics_that_one_model_does_not_define_are_left_out():
    defined, undefined = terms([1, 0]), Terms(np.zeros(2), np.zeros(2))
    a = {"both": defined, "first only": defined, "second undefined": defined, "first undefined": undefined}
    b = {"both": defined, "second undefined": undefined, "first undefined": defined}
    assert list(paired_differences(a, b, ids(2), resamples=10)) == ["both"]


def test_swaps_move_numerators_and_denominators_together():
    # Two images. A: 1/1 and 0/3, a score of 1/4. B: 0/1 and 3/3, a score of 3/4. The four swaps give differences of
    # +1/2 (none), -1/2 (both), and B 1/1 + 3/3 - A 0/1 + 0/3 = 1 and -1 (one). Every one is at least as large as 1/2.
    a, b = Terms(np.array([1.0, 0]), np.array([1.0, 3])), Terms(np.array([0.0, 3]), np.array([1.0, 3]))
    difference = paired_differences({"x": a}, {"x": b}, ids(2), resamples=200)["x"]
    assert difference.value == pytest.approx(1 / 2)
    assert difference.p_value == 1
    # Different denominators. A: 1/2 and 1/2, 1/2 in all. B: 1/1 and 3/4, 4/5, 3/10 more. One swapped: A' = 2/3 and
    # B' = 4/6, equal; or A' = 4/6 and B' = 2/3. So half of the swaps reach 3/10.
    a, b = Terms(np.array([1.0, 1]), np.array([2.0, 2])), Terms(np.array([1.0, 3]), np.array([1.0, 4]))
    difference = paired_differences({"x": a}, {"x": b}, ids(2), resamples=4_000)["x"]
    assert difference.value == pytest.approx(3 / 10)
    assert difference.p_value == pytest.approx(1 / 2, abs=0.04)


def test_the_ends_of_a_paired_interval_are_percentiles_by_hand():
    # One of 20 images changes, by 1. In a resample it is drawn k times with the binomial probabilities of 20 draws at
    # 1/20: P(0) = 0.358, P(k <= 2) = 0.925, P(k <= 3) = 0.984. The 97.5th percentile is 3 draws, 3/20.
    change = np.zeros(20)
    change[0] = 1
    interval = paired_differences({"x": terms(np.zeros(20))}, {"x": terms(change)}, ids(20), resamples=8_000)[
        "x"
    ].interval
    assert (interval.low, interval.high) == (0, pytest.approx(3 / 20))
    # P(k <= 3) = 0.984 is below 0.985, so the 98.5th percentile would be 4 draws. The other end mirrors it.
    mirrored = paired_differences({"x": terms(change)}, {"x": terms(np.zeros(20))}, ids(20), resamples=8_000)[
        "x"
    ].interval
    assert (mirrored.low, mirrored.high) == (pytest.approx(-3 / 20), 0)


def test_intervals_end_at_the_percentiles_2_5_and_97_5():
    # 4 of 20 images score 1. A resample draws k of them, binomial with 20 draws at 1/5: P(k <= 7) = 0.968 and
    # P(k <= 8) = 0.990, so the 97.5th percentile is 8 and the 96.5th 7. For the complement, the low ends mirror them.
    # With 1 of 20, P(k <= 3) = 0.984, so the 97.5th percentile is 3 and the 98.5th 4.
    four, one = (np.arange(20) < 4).astype(float), (np.arange(20) < 1).astype(float)
    scores = {"four": terms(four), "others": terms(1 - four), "one": terms(one)}
    found = bootstrap_intervals(scores, ids(20), resamples=8_000)
    assert found["four"].high == pytest.approx(8 / 20)
    assert found["others"].low == pytest.approx(12 / 20)
    assert found["one"].high == pytest.approx(3 / 20)
    assert found == bootstrap_intervals(scores, ids(20), resamples=8_000, seed=0)
    assert found == bootstrap_intervals(scores, ids(20), 8_000)
    nothing = terms(np.zeros(20))
    change = paired_differences({"x": terms(four)}, {"x": nothing}, ids(20), resamples=8_000)["x"]
    assert change.interval.low == pytest.approx(-8 / 20)


def test_two_metrics_are_compared_as_if_alone():
    # x: as in the second case above. y: twice the numerators and another denominator, scores 4/5 and 8/6.
    a = {"x": Terms(np.array([1.0, 1]), np.array([2.0, 2])), "y": Terms(np.array([2.0, 2]), np.array([2.0, 3]))}
    b = {"x": Terms(np.array([1.0, 3]), np.array([1.0, 4])), "y": Terms(np.array([2.0, 6]), np.array([1.0, 5]))}
    both = paired_differences(a, b, ids(2), resamples=500)
    assert both["x"].value == pytest.approx(4 / 5 - 2 / 4)
    assert both["y"].value == pytest.approx(8 / 6 - 4 / 5)
    for name, difference in both.items():
        assert difference == paired_differences({name: a[name]}, {name: b[name]}, ids(2), resamples=500)[name]
    assert both["x"].p_value == pytest.approx(1 / 2, abs=0.1)
    # y with the first image swapped: A' = 4/4, B' = 8/7, a difference of 1/7 < 8/15; the second swap mirrors it.
    assert both["y"].p_value == pytest.approx(1 / 2, abs=0.1)


def test_the_seed_decides_the_swaps_and_is_0_by_default():
    a, b = terms(np.arange(12) % 2), terms([0.9, 0.8, 0.7, 0.6, 0.5, 0.9] * 2)
    values = {
        seed: paired_differences({"x": a}, {"x": b}, ids(12), resamples=97, **options)["x"]
        for seed, options in {"default": {}, 0: {"seed": 0}, "again": {"seed": 0}, 5: {"seed": 5}}.items()
    }
    assert values["default"] == values[0] == values["again"]
    assert values[5].interval != values[0].interval


def test_another_seed_draws_other_swaps():
    # Two images change by 3 and 1. With signs of their own they add up to 4, 2, -2 or -4, so half of the swaps reach
    # the observed 4, and p is (1 + k) / 100 with k from a binomial distribution of 99 draws at 1/2.
    p_values = [
        paired_differences({"x": terms([0, 0])}, {"x": terms([3, 1])}, ids(2), resamples=99, seed=seed)["x"].p_value
        for seed in range(8)
    ]
    assert len(set(p_values)) > 2
    assert np.mean(p_values) == pytest.approx(1 / 2, abs=0.06)


def test_blocks_of_swaps_add_up_to_the_resamples(monkeypatch):
    # Every swap of one changed image gives a difference of the same size, so p is 1 however the swaps are blocked.
    monkeypatch.setattr(statistics, "_BLOCK_WEIGHTS", 4)
    for resamples in (4, 5, 7):
        difference = paired_differences({"x": terms([0])}, {"x": terms([1])}, ids(1), resamples=resamples)["x"]
        assert difference.p_value == 1


@pytest.mark.parametrize(("defined", "given"), [(3, False), (4, True)])
def test_exactly_half_of_the_resamples_are_too_few(monkeypatch, defined, given):
    # Only the first image counts, and `defined` of 6 resamples draw it.
    drawn = np.array([[1.0, 1.0]] * defined + [[0.0, 2.0]] * (6 - defined))
    monkeypatch.setattr(statistics, "_resample_weights", lambda *_: iter([drawn]))
    counts = np.array([1.0, 0.0])
    assert ("x" in bootstrap_intervals({"x": Terms(counts, counts)}, ids(2), resamples=6)) is given


@pytest.mark.parametrize("together", [1, 5, 12, 1 << 18])
def test_weights_are_those_of_one_draw_of_all_resamples(monkeypatch, together):
    monkeypatch.setattr(statistics, "_DRAWN_TOGETHER", together)
    drawn = np.random.default_rng(4).integers(5, size=(7, 5))  # NumPy's own stream
    expected = [[list(row).count(image) for image in range(5)] for row in drawn.tolist()]
    assert np.concatenate(list(statistics._resample_weights(5, 7, seed=4))).tolist() == expected


def test_sums_of_more_images_than_are_summed_at_once_are_exact():
    images = (1 << 17) + 3  # one part of 131,072 images and three
    columns = [
        [image % 3 for image in range(images)],  # at most 255
        [image * 7919 % 100_003 for image in range(images)],  # at most 2 ** 31 - 1
        [2**31 + image for image in range(images)],
        [2**32 + 2 * image for image in range(images)],
    ]
    weights = [[image % 2 for image in range(images)], [1] * images]
    expected = [[sum(map(operator.mul, row, column)) for column in columns] for row in weights]
    sums = statistics._ImageSums()
    for column in [*columns, columns[1]]:
        sums.add(np.array(column, np.float64))
    total = sums.total(np.array(weights, np.float64))
    assert [list(map(int, row)) for row in total] == [[*row, row[1]] for row in expected]
