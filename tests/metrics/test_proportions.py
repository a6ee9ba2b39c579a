"""Intervals of proportions: values of other programs, and how often the intervals contain the truth."""

import numpy as np
import pytest
from scipy import stats

from earthreason.metrics.proportions import adjusted_difference_interval, effective_cases, wilson_interval

SHARES = np.arange(1, 20) / 20


# statsmodels 0.15.0: proportion_confint(k, n, method="wilson")
@pytest.mark.parametrize(
    ("right", "cases", "low", "high"),
    [
        (0, 10, 0.0, 0.2775328),
        (11, 11, 0.741167033, 1.0),
        (1, 20, 0.008881449, 0.236131193),
        (7, 20, 0.181191824, 0.567145723),
        (49, 50, 0.895045564, 0.996460741),
        (100, 200, 0.43136086, 0.56863914),
        (3, 1000, 0.001020784, 0.008783014),
    ],
)
def test_wilson_intervals_are_those_of_statsmodels(right, cases, low, high):
    assert wilson_interval(right / cases, cases) == pytest.approx((low, high), abs=1e-8)


def test_wilson_intervals_are_those_of_scipy_and_hold_the_score():
    for cases in (10, 37, 400):
        for right in range(0, cases + 1, 3):
            theirs = stats.binomtest(right, cases).proportion_ci(method="wilson")
            low, high = wilson_interval(right / cases, cases)
            assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
            assert 0 <= low <= right / cases <= high <= 1


@pytest.mark.parametrize("n", [11, 20, 50, 200])
def test_independent_cases_are_covered_as_stated_on_average(n):
    """Exact: the binomial probability of the outcomes whose interval holds the share, averaged over 19 shares."""
    outcomes = np.arange(n + 1)
    low, high = np.array([wilson_interval(k / n, n) for k in outcomes]).T
    covered = [stats.binom.pmf(outcomes, n, p)[(low <= p) & (p <= high)].sum() for p in SHARES]
    assert 0.94 <= np.mean(covered) <= 0.965
    assert min(covered) > 0.89


def draw_clustered(rng, images, share, correlation, copies):
    """Draw answers to 5 questions about each image: (images, 5) uniform numbers below `share`, as floats."""
    if copies:  # each question repeats the image's own value with probability sqrt(correlation)
        own = rng.random((images, 5)) < np.sqrt(correlation)
        return (np.where(own, rng.random((images, 1)), rng.random((images, 5))) < share).astype(float)
    spread = 1 / correlation - 1
    return (rng.random((images, 5)) < rng.beta(share * spread, (1 - share) * spread, (images, 1))).astype(float)


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("correlation", [0.3, 0.5])
@pytest.mark.parametrize("images", [10, 20, 50, 200])
def test_five_questions_per_image_are_covered_as_stated(images, correlation, copies):
    """Simulation: 100 data sets for each of 19 shares, so the mean over shares has a standard error of 0.005."""
    rng = np.random.default_rng([images, copies])
    group = np.repeat(np.arange(images), 5)
    covered = []
    for share in SHARES:
        for _ in range(100):
            values = draw_clustered(rng, images, share, correlation, copies).ravel()
            low, high = wilson_interval(values.mean(), effective_cases(values, group, (0, 1)))
            covered.append(low <= share <= high)
    assert 0.935 <= np.mean(covered) <= 0.975


def test_the_same_answers_taken_as_independent_would_not_be_covered():
    rng = np.random.default_rng(0)
    drawn = (draw_clustered(rng, 50, p, 0.5, False) for p in SHARES for _ in range(100))
    covered = [
        low <= share <= high
        for share, values in zip(np.repeat(SHARES, 100), drawn, strict=True)
        for low, high in [wilson_interval(values.mean(), values.size)]
    ]
    assert np.mean(covered) < 0.85


def test_questions_that_are_asked_once_per_image_are_all_effective():
    values = np.array([1.0] * 3 + [0.0] * 17)
    assert effective_cases(values, np.arange(20), (0, 1)) == 20
    assert effective_cases(np.ones(20), np.arange(20), (0, 1)) == 20


def test_questions_that_always_agree_count_as_one_per_image():
    # 12 images of 5 questions each that agree. The variance over images is that of 12 cases.
    group = np.repeat(np.arange(12), 5)
    assert effective_cases(np.repeat(np.arange(12) % 2, 5).astype(float), group, (0, 1)) == pytest.approx(12)
    assert effective_cases(np.ones(60), group, (0, 1)) == pytest.approx(12, rel=0.1)


def test_the_number_of_effective_cases_by_hand():
    # Images of 2 questions: 1 1, 1 0, 0 0. The largest effect is 2. With half an image of ones and half of zeros, the
    # mean is (3 + 1) / (6 + 2) = 1/2 and the variance 1/4. Residuals 1, 0, -1 and half of 1 and of 1: 3 in all. Over
    # 4 images, times 3, by 6 / 4: the effect is 3 / 4 * 3 / 1.5 = 3/2, and 6 cases are worth 4.
    values, group = np.array([1.0, 1, 1, 0, 0, 0]), np.array([7, 7, 2, 2, 5, 5])
    assert effective_cases(values, group, (0, 1)) == pytest.approx(4)


# Counts of which only the second, only the first, and n in all. The first is the airway data of Bentur et al. 2009, in
# Fagerland, Lydersen and Laake 2014; computed by hand as (c + 1) / (n + 2) and so on.
@pytest.mark.parametrize(
    ("gains", "losses", "n", "low", "high"),
    [
        (1, 7, 21, -0.5083593, -0.0133798),
        (6, 16, 161, -0.1194988, -0.0032006),
        (0, 0, 100, -0.0271746, 0.0271746),
    ],
)
def test_paired_differences_are_those_of_bonett_and_price(gains, losses, n, low, high):
    assert adjusted_difference_interval(gains / n, losses / n, n) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize(("images", "copies"), [(20, 1), (50, 1), (200, 1), (20, 5), (50, 5), (200, 5)])
def test_paired_differences_are_covered_as_stated(images, copies):
    """Simulation of 300 data sets for each of three pairs of shares; few discordant answers only widen intervals."""
    rng = np.random.default_rng([images, copies])
    group = np.repeat(np.arange(images), copies)
    covered = []
    for gain, loss in ((0.2, 0.05), (0.3, 0.1), (0.2, 0.2)):
        for _ in range(300):
            own = rng.random((images, copies)) < np.sqrt(0.4)
            u = np.where(own, rng.random((images, 1)), rng.random((images, copies))).ravel()
            change = np.where(u < gain, 1.0, np.where(u < gain + loss, -1.0, 0.0))
            cases = effective_cases(change, group, (-1, 1))
            low, high = adjusted_difference_interval((change > 0).mean(), (change < 0).mean(), cases)
            covered.append(low <= gain - loss <= high)
    assert 0.93 <= np.mean(covered) <= 0.985


def test_differences_also_count_as_effective_cases_by_hand():
    # Images of 2 changes: 1 1, 1 0, -1 0. The largest effect is 2. With half an image of 1 and half of -1, the mean is
    # 2 / 8 = 1/4 and the variance (4 + 2) / 8 - 1/16 = 11/16. Residuals 3/2, 1/2, -3/2 and half of -5/2 and of 3/2:
    # 4.75 + 4.25 = 9. The effect is 9 / 4 * 3 / (6 * 11/16) = 18/11, and 6 cases are worth 11/3.
    values, group = np.array([1.0, 1, 1, 0, -1, 0]), np.array([0, 0, 1, 1, 2, 2])
    assert effective_cases(values, group, (-1, 1)) == pytest.approx(11 / 3)


def test_the_effect_is_at_most_the_number_of_cases_per_image():
    # Images of 2 and 1 wrong answers. The limit is (4 + 1) / 3 = 5/3. With the half images, the mean is
    # (5/6) / (14/3) = 5/28, the variance 5/28 * 23/28, and the effect 1.728: above the limit, so 3 cases are worth 9/5.
    assert effective_cases(np.zeros(3), np.array([0, 0, 1]), (0, 1)) == pytest.approx(9 / 5)


@pytest.mark.parametrize("n", [11, 14, 15, 16, 17, 21, 33])
def test_an_interval_ends_at_1_where_rounding_would_exceed_it(n):
    assert wilson_interval(1, n)[1] == 1


def test_differences_end_at_1_on_both_sides():
    # 10 of 10 are lost: 1/12 - 11/12 = -0.8333, with a half-width of 1.95996 * sqrt((1 - 0.8333 ** 2) / 12) = 0.31275.
    assert adjusted_difference_interval(0, 1, 10) == (-1, pytest.approx(-0.8333333 + 0.3127537, abs=1e-6))
    assert adjusted_difference_interval(1, 0, 10) == (pytest.approx(0.8333333 - 0.3127537, abs=1e-6), 1)
