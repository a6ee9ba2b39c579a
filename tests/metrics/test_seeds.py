"""Statistics over seeds and images, against scipy's tests, statsmodels' analysis of variance, and simulated models."""

import numpy as np
import pytest
from scipy import stats

from earthreason.metrics.scores import Terms
from earthreason.metrics.seeds import holm, seeded_difference, seeded_interval
from earthreason.metrics.statistics import paired_differences

RNG = np.random.default_rng(5)
THREE_SEEDS = np.array(
    [
        [0.1, 0.5, 0.9, 0.3, 0.0, 0.7, 0.2, 0.8, 0.4, 0.6],
        [0.2, 0.6, 0.8, 0.5, 0.1, 0.9, 0.2, 0.9, 0.6, 0.7],
        [0.0, 0.4, 0.8, 0.2, 0.0, 0.5, 0.1, 0.8, 0.3, 0.4],
    ]
)
FOUR_SEEDS = np.array(
    [
        [0.3, 0.6, 0.9, 0.6, 0.1, 0.8, 0.5, 0.9, 0.5, 0.9],
        [0.4, 0.8, 1.0, 0.6, 0.4, 0.9, 0.5, 1.0, 0.8, 0.9],
        [0.5, 0.6, 0.9, 0.7, 0.2, 1.0, 0.4, 0.9, 0.7, 0.8],
        [0.2, 0.5, 0.8, 0.5, 0.2, 0.6, 0.3, 0.9, 0.4, 0.8],
    ]
)


def models(chance, seeds, images, seed_sd, shift=0.0):
    """Draw the IoU of a model that differs by seed, for images whose difficulty all models share."""
    difficulty = chance.standard_normal(images)

    def scores(shift):
        moved = chance.normal(shift, seed_sd, (seeds, 1))
        return np.clip(0.25 + 0.25 * (difficulty + chance.standard_normal((seeds, images))) + moved, 0, 1)

    return scores(0.0), scores(shift)


def test_without_variation_over_images_the_test_is_welchs():
    a, b = RNG.random(5), RNG.random(7)
    ours = seeded_difference(np.tile(a[:, None], 30), np.tile(b[:, None], 30))
    theirs = stats.ttest_ind(b, a, equal_var=False)
    assert ours.value == pytest.approx(b.mean() - a.mean())
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    low, high = theirs.confidence_interval()
    assert (ours.interval.low, ours.interval.high) == pytest.approx((low, high))


@pytest.mark.parametrize("seeds", [1, 5])
def test_without_variation_over_seeds_the_test_is_the_paired_one_over_images(seeds):
    a, b = RNG.random((1, 40)), RNG.random((1, 40))
    ours = seeded_difference(a.repeat(seeds, 0), b.repeat(seeds, 0))
    theirs = stats.ttest_rel(b[0], a[0])
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    low, high = theirs.confidence_interval()
    assert (ours.interval.low, ours.interval.high) == pytest.approx((low, high))


def test_a_model_without_training_has_no_variance_of_seeds():
    trained = RNG.random(5)
    ours = seeded_difference(np.tile(trained[:, None], 30), np.full((1, 30), 0.5))
    assert ours.p_value == pytest.approx(stats.ttest_1samp(trained, 0.5).pvalue, rel=1e-9)


def test_the_variance_is_that_of_statsmodels_mean_squares():
    # anova_lm(ols("y ~ C(seed) + C(image)")) of statsmodels 0.15.0 gives the mean squares 0.1 (2 degrees of freedom),
    # 0.254259259 (9) and 0.00481481481 (18) for THREE_SEEDS; variance and freedom follow by hand.
    interval = seeded_interval(THREE_SEEDS)
    assert (interval.low, interval.high) == pytest.approx((0.20959601436, 0.69040398564), abs=1e-10)
    difference = seeded_difference(THREE_SEEDS, FOUR_SEEDS)
    assert difference.value == pytest.approx(0.1825)
    ends = difference.interval.low, difference.interval.high
    assert ends == pytest.approx((-0.01597847087, 0.38097847087), abs=1e-10)
    assert difference.p_value == pytest.approx(0.06394715683, abs=1e-10)


def test_seeds_with_equal_means_add_no_variance_and_take_none_away():
    means = np.linspace(0.2, 0.6, 20)
    swing = np.resize([0.1, -0.1], 20)  # sums to 0: the seeds differ on every image, but not in their mean
    interval = seeded_interval(np.stack([means + swing, means - swing]))
    low, high = stats.ttest_1samp(means, 0).confidence_interval()
    assert (interval.low, interval.high) == pytest.approx((low, high))


def test_the_difference_is_of_the_second_from_the_first_model_and_as_likely_the_other_way():
    there, back = seeded_difference(THREE_SEEDS, FOUR_SEEDS), seeded_difference(FOUR_SEEDS, THREE_SEEDS)
    assert there.value == -back.value
    assert there.p_value == pytest.approx(back.p_value)
    assert there.interval.low == pytest.approx(-back.interval.high)


@pytest.mark.parametrize("seed_sd", [0.01, 0.015, 0.02])
def test_equal_models_differ_in_about_5_percent_of_tries_when_their_seeds_vary_by_1_to_2_points(seed_sd):
    chance = np.random.default_rng(1)
    found = [seeded_difference(*models(chance, 5, 1000, seed_sd)).p_value < 0.05 for _ in range(1000)]
    assert 0.025 <= np.mean(found) <= 0.07  # the 99.9 % interval of 5 % of 1,000 tries is 2.7 to 7.3 %


def test_the_permutation_over_images_that_ignores_seeds_finds_a_difference_far_too_often():
    chance, images = np.random.default_rng(2), np.tile(np.arange(1000).astype(str), 5)
    found = []
    for _ in range(120):
        pooled = [{"gIoU": Terms(x.ravel(), np.ones(x.size))} for x in models(chance, 5, 1000, 0.015)]
        found.append(paired_differences(*pooled, images, resamples=199)["gIoU"].p_value < 0.05)
    assert np.mean(found) > 0.15


def test_a_difference_of_six_points_is_found_in_most_tries():
    chance = np.random.default_rng(4)
    found = [seeded_difference(*models(chance, 5, 1000, 0.015, shift=0.06)).p_value < 0.05 for _ in range(200)]
    assert np.mean(found) > 0.9


def test_95_percent_of_the_intervals_of_a_model_contain_its_mean():
    chance = np.random.default_rng(6)
    truth = np.mean([models(chance, 100, 20_000, 0.0)[0].mean() for _ in range(5)])
    intervals = [seeded_interval(models(chance, 5, 1000, 0.02)[0]) for _ in range(500)]
    assert 0.92 <= np.mean([i.low <= truth <= i.high for i in intervals]) <= 0.98


def test_few_images_have_no_interval_and_equal_scores_one_of_wilsons():
    assert seeded_interval(THREE_SEEDS[:, :9]) is None
    assert seeded_difference(THREE_SEEDS[:, :9], FOUR_SEEDS[:, :9]).interval is None
    low = stats.binomtest(50, 50).proportion_ci(method="wilson").low
    assert seeded_interval(np.ones((3, 50))).low == pytest.approx(low)
    same = seeded_difference(np.ones((3, 50)), np.ones((1, 50)))
    assert (same.value, same.p_value) == (0, 1)
    assert same.interval.low < 0 < same.interval.high


def test_tables_of_other_images_are_refused():
    with pytest.raises(ValueError, match="10 and 9 images cannot be paired"):
        seeded_difference(THREE_SEEDS, FOUR_SEEDS[:, :9])


def test_holms_correction_agrees_with_statsmodels():
    # multipletests(..., method="holm") of statsmodels 0.15.0
    found = holm([0.001, 0.3, 0.012, 0.04, 0.7, 0.013, 0.9, 0.0499])
    assert found == pytest.approx([0.008, 0.9, 0.084, 0.2, 1.0, 0.084, 1.0, 0.2])
    assert holm([]) == []
