"""Which interval each score has, and which has none."""

import io
import json

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from earthreason import evaluate
from earthreason.masks.rle import encode_mask
from earthreason.metrics.accumulator import RegionAccumulator
from earthreason.metrics.compare import compare_results
from earthreason.metrics.references import Reference, References
from earthreason.metrics.scores import Terms
from earthreason.metrics.statistics import confidence_intervals, metrics_with_few_images, paired_differences
from earthreason.reports.table import print_comparisons, print_results
from earthreason.types import Prediction

FIELD = np.arange(60).reshape(6, 10) < 20
EMPTY = np.zeros((6, 10), bool)


def split(targets: int, empties: int):
    return {f"t{k}": FIELD for k in range(targets)} | {f"e{k}": EMPTY for k in range(empties)}


def answers(truth, right):
    """The truth where `right(name)` is true, else "no target" for a target and a mask for an empty one."""
    return {name: mask if right(name) else (FIELD if name[0] == "e" else None) for name, mask in truth.items()}


def ids(n):
    return np.array([f"s{k}" for k in range(n)], object)


def printed(show, *arguments):
    console = Console(file=io.StringIO(), width=200)
    show(*arguments, console)
    return console.file.getvalue()


def test_shares_of_questions_have_the_intervals_of_scipy():
    truth = split(20, 11)
    result = evaluate(answers(truth, lambda name: name[0] == "t" and name != "t0"), truth, "native", resamples=200)
    for name, right, cases in (("N-acc", 0, 11), ("T-acc", 19, 20), ("Pr@0.5", 19, 31), ("Acc@0.5", 19, 20)):
        expected = stats.binomtest(right, cases).proportion_ci(method="wilson")
        assert result[name] == right / cases
        assert (result.intervals[name].low, result.intervals[name].high) == pytest.approx(tuple(expected))
    assert result.no_interval == {}


@pytest.mark.parametrize(("empties", "few"), [(9, True), (10, False)])
def test_fewer_than_ten_cases_have_no_interval_and_table_and_json_say_so(empties, few):
    truth = split(12, empties)
    result = evaluate(answers(truth, lambda name: True), truth, "native", resamples=100)
    content = json.loads(json.dumps(result.to_dict()))
    table = printed(print_results, [result])
    if few:
        assert result.no_interval == dict.fromkeys(("N-acc", "FP area"), "fewer than 10 images")
        assert content["intervals"]["N-acc"] is None
        assert "N-acc" not in result.intervals
    else:
        assert len(content["intervals"]["N-acc"]) == 2
        assert result.no_interval == {}
    assert content["no_interval"] == result.no_interval
    assert ("fewer than 10 images" in table) is few


def test_a_table_without_any_interval_still_says_why():
    truth = split(4, 2)
    assert "fewer than 10 images" in printed(print_results, [evaluate(truth, truth, "native", resamples=50)])
    plain = evaluate(truth, truth, "native", resamples=0)
    assert plain.intervals == plain.no_interval == {}
    assert "interval" not in printed(print_results, [plain])


def test_cases_are_images_where_several_questions_are_asked_about_one():
    truth = References([Reference(f"s{k}", encode_mask(FIELD), question_count=5) for k in range(9)], "truth")
    predictions = [Prediction(f"s{k}", encode_mask(FIELD), question_index=q) for k in range(9) for q in range(5)]
    result = evaluate(predictions, truth, "geo-r1", resamples=50)
    assert len(result.counts) == 45
    assert result.intervals == {}
    assert result.no_interval["gIoU"] == "fewer than 10 images"


def test_equal_answers_about_an_image_do_not_narrow_the_interval():
    right = (np.arange(40) < 30).astype(float)
    once = confidence_intervals({"x": Terms(right, np.ones(40), proportion=True)}, ids(40))["x"]
    terms = Terms(np.repeat(right, 5), np.ones(200), proportion=True)
    images = np.repeat(ids(40), 5)
    assert confidence_intervals({"x": terms}, images)["x"].low == pytest.approx(once.low, abs=0.003)
    expected = stats.binomtest(150, 200).proportion_ci(method="wilson")
    assert confidence_intervals({"x": terms}, ids(200))["x"].low == pytest.approx(expected.low)


@pytest.mark.parametrize("score", [0.0, 1.0, 0.999999])
def test_a_mean_of_equal_scores_has_an_interval_with_a_width(score):
    # No score between 0 and 1 varies more than a share with the same mean: 30 of 30 or 0 of 30 in the extreme.
    interval = confidence_intervals({"gIoU": Terms(np.full(30, score), np.ones(30))}, ids(30), 100)["gIoU"]
    expected = stats.binomtest(round(score) * 30, 30).proportion_ci(method="wilson")
    assert (interval.low, interval.high) == pytest.approx(tuple(expected), abs=1e-4)


def test_a_sum_over_pixels_that_finds_nothing_has_the_interval_of_its_images():
    # 20 images of which half are three times as large: as informative as (10 + 30) ** 2 / (10 + 90) = 16 equal ones.
    terms = Terms(np.zeros(20), np.where(np.arange(20) < 10, 100.0, 300.0), epsilon=1e-7)
    interval = confidence_intervals({"cIoU": terms}, ids(20), 100)["cIoU"]
    assert (interval.low, interval.high) == pytest.approx(tuple(stats.binomtest(0, 16).proportion_ci(method="wilson")))


def test_only_declared_shares_are_taken_for_shares():
    values = (np.arange(50) < 20).astype(float)
    found = confidence_intervals(
        {"mean": Terms(values, np.ones(50)), "share": Terms(values, np.ones(50), proportion=True)}, ids(50)
    )
    assert found["share"] != found["mean"]
    assert (found["mean"].low * 50) % 1 == pytest.approx(0, abs=1e-9)  # a percentile of resampled means


def test_undefined_scores_have_neither_an_interval_nor_a_reason():
    nothing = {"x": Terms(np.zeros(20), np.zeros(20), proportion=True)}
    assert confidence_intervals(nothing, ids(20)) == {}
    assert metrics_with_few_images(nothing, ids(20)) == []


def test_added_questions_have_the_intervals_of_evaluate():
    truth = split(14, 10)
    given = answers(truth, lambda name: name not in ("t3", "e1"))
    judge = RegionAccumulator(["native"])
    for name, mask in truth.items():
        judge.update(name, given[name], mask)
    assert judge.intervals(resamples=100) == evaluate(given, truth, "native", resamples=100).intervals


def test_a_difference_of_shares_counts_the_answers_that_changed():
    # Of 25 empty images, 6 are only right in B and 1 only in A: by hand, (7 - 2) / 27 and its standard error.
    truth = split(10, 25)
    first = answers(truth, lambda name: name[0] == "t" or int(name[1:]) >= 6)
    second = answers(truth, lambda name: name != "e24")
    pair = [evaluate(given, truth, "native", resamples=0) for given in (first, second)]
    difference = compare_results(pair, resamples=2_000)[0].differences["N-acc"]
    centre, half = 5 / 27, 1.959964 * np.sqrt((9 / 27 - (5 / 27) ** 2) / 27)
    assert difference.value == pytest.approx(5 / 25)
    assert (difference.interval.low, difference.interval.high) == pytest.approx(
        (centre - half, centre + half), abs=1e-6
    )
    # statsmodels 0.15.0: mcnemar([[18, 6], [1, 0]], exact=True).pvalue = 0.125
    assert difference.p_value == pytest.approx(0.125, abs=0.025)


def test_equal_files_differ_by_an_interval_with_a_width():
    truth = split(30, 0)
    pair = [evaluate(answers(truth, lambda name: name < "t2"), truth, "native", resamples=0)] * 2
    for name in ("gIoU", "cIoU", "T-acc"):
        interval = compare_results(pair, resamples=100)[0].differences[name].interval
        # By hand: no change in 30 cases gives (1 - 1) / 32 and 1.95996 * sqrt(2 / 32 / 32).
        assert (interval.low, interval.high) == pytest.approx((-0.0866197, 0.0866197), abs=1e-6)


def test_a_difference_of_fewer_than_ten_cases_has_no_interval_and_says_so():
    truth = split(12, 9)
    pair = [
        evaluate(answers(truth, right), truth, "native", resamples=0) for right in (lambda n: True, lambda n: n > "t")
    ]
    (comparison,) = compare_results(pair, resamples=100)
    assert comparison.differences["N-acc"].interval is None
    assert comparison.differences["N-acc"].value == -1
    content = comparison.to_dict()
    assert content["differences"]["N-acc"]["interval"] is None
    assert content["no_interval"] == dict.fromkeys(("N-acc", "FP area"), "fewer than 10 images")
    assert printed(print_comparisons, [comparison]).count("fewer than 10 images") == 2  # N-acc and FP area


def test_cases_of_a_difference_are_those_of_both_models():
    # A has 20 cases, B only 9 of them.
    ones = np.ones(20)
    fewer = (np.arange(20) < 9).astype(float)
    found = paired_differences({"x": Terms(ones, ones)}, {"x": Terms(fewer, fewer)}, ids(20), 50)
    assert found["x"].interval is None


@pytest.mark.parametrize(("images", "given"), [(9, False), (10, True)])
def test_a_difference_of_ten_cases_has_an_interval(images, given):
    terms = {"x": Terms(np.arange(images) / images, np.ones(images))}
    assert (paired_differences(terms, terms, ids(images), 50)["x"].interval is not None) == given


def test_a_difference_of_two_sums_has_the_cases_of_the_pixels_of_both():
    # 20 images with 1 pixel in A, and 199 or 599 in B: as many as (10 * 200 + 10 * 600) ** 2 / (10 * 200 ** 2 + 10 *
    # 600 ** 2) = 16 equal ones. Without a change, 1 of 18 is gained and 1 of 18 lost.
    found_nothing = np.zeros(20)
    second = np.where(np.arange(20) < 10, 199.0, 599.0)
    pair = {"x": Terms(found_nothing, np.ones(20))}, {"x": Terms(found_nothing, second)}
    half = 1.959964 * np.sqrt((2 / 18) / 18)
    interval = paired_differences(*pair, ids(20), 50)["x"].interval
    assert (interval.low, interval.high) == pytest.approx((-half, half), abs=1e-6)


def pairs_of(*answers):
    """Image and value of each of two questions about each image: (2 n,) str objects and (2 n,) float64."""
    return np.repeat(ids(len(answers)), 2), np.array(answers, float).ravel()


def test_a_share_of_questions_has_its_effective_cases_by_hand():
    # Of 12 images of 2 questions, 4 each are 1 1, 1 0 and 0 0. The mean is 1/2, the variance 1/4. Residuals: 4 + 4
    # and, for the half images, 1. The effect is 9 / 13 * 12 / (24 / 4) = 18/13, so 24 cases are worth 52/3. Wilson's
    # interval of one half reaches z / (2 sqrt(n + z ** 2)) = 0.21297 on both sides.
    images, values = pairs_of(*[(1, 1)] * 4, *[(1, 0)] * 4, *[(0, 0)] * 4)
    interval = confidence_intervals({"x": Terms(values, np.ones(24), proportion=True)}, images)["x"]
    half = 1.959964 / (2 * np.sqrt(52 / 3 + 1.959964**2))
    assert (interval.low, interval.high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-6)


def test_a_difference_of_shares_has_its_effective_cases_by_hand():
    # Changes in 12 images: 4 times 1 0, twice 1 1, twice -1 0, 4 times 0 0. With the half images the mean is
    # 6 / 26 = 3/13 and the variance 12 / 26 - 9 / 169 = 69/169. Residuals: (196 + 800 + 722 + 144 + 712) / 169. The
    # effect is 2574 / 169 / 13 * 12 / (24 * 69 / 169) = 33/23, so 24 cases are worth 184/11.
    images, change = pairs_of(*[(1, 0)] * 4, *[(1, 1)] * 2, *[(-1, 0)] * 2, *[(0, 0)] * 4)
    a, b = (Terms((sign * change > 0).astype(float), np.ones(24), proportion=True) for sign in (-1, 1))
    interval = paired_differences({"x": a}, {"x": b}, images, 50)["x"].interval
    cases = 184 / 11
    gained, lost = (cases * 8 / 24 + 1) / (cases + 2), (cases * 2 / 24 + 1) / (cases + 2)
    half = 1.959964 * np.sqrt((gained + lost - (gained - lost) ** 2) / (cases + 2))
    assert (interval.low, interval.high) == pytest.approx((gained - lost - half, gained - lost + half), abs=1e-6)


def test_a_score_above_1_is_no_share():
    interval = confidence_intervals({"x": Terms(np.full(30, 1.5), np.ones(30))}, ids(30), 100)["x"]
    assert (interval.low, interval.high) == (1.5, 1.5)


def test_a_single_case_is_too_few():
    assert metrics_with_few_images({"x": Terms(np.ones(1), np.ones(1))}, ids(1)) == ["x"]


def test_the_seed_decides_the_resamples_and_is_0_by_default():
    terms = {"x": Terms(np.random.default_rng(0).random(40), np.ones(40))}
    default, zero, one = (confidence_intervals(terms, ids(40), 200, **seed) for seed in ({}, {"seed": 0}, {"seed": 1}))
    assert default == zero != one
