import io

import numpy as np
import pytest
from rich.console import Console

from earthreason import evaluate
from earthreason.errors import EarthReasonError
from earthreason.masks.rle import encode_mask, union_rles
from earthreason.metrics.compare import compare_results
from earthreason.metrics.references import Reference
from earthreason.reports.table import print_comparisons

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
    with pytest.raises(
        EarthReasonError, match="not scored on the same questions; score both with one protocol and split"
    ):
        compare_results([*results(TRUTH), other])
    with pytest.raises(EarthReasonError, match="at least two"):
        compare_results(results(TRUTH))


@pytest.mark.parametrize(
    ("rows", "wins", "ties", "losses"),
    # One pixel of rows x 1000 lost changes the IoU by 1 / (1000 rows): 1.001e-6 in 999 rows, 0.999e-6 in 1001 rows.
    [(999, 0, 0, 1), (1001, 0, 1, 0)],
)
def test_changes_below_a_millionth_are_ties(rows, wins, ties, losses):
    truth = np.ones((rows, 1000), bool)
    nearly = truth.copy()
    nearly[0, 0] = False
    exact, short = (evaluate({"a": mask}, {"a": truth}, "native", resamples=0) for mask in (truth, nearly))
    (comparison,) = compare_results([exact, short], resamples=10)
    assert (comparison.wins, comparison.ties, comparison.losses) == (wins, ties, losses)
    (reverse,) = compare_results([short, exact], resamples=10)
    assert (reverse.wins, reverse.ties, reverse.losses) == (losses, ties, wins)


def test_a_comparison_by_hand():
    # Truth of 10 pixels each. A finds 10, 5, 0; B finds 10, 10, 0 of them and nothing else.
    truth = {name: np.arange(20).reshape(4, 5) < 10 for name in "abc"}
    first = {"a": truth["a"], "b": np.arange(20).reshape(4, 5) < 5, "c": None}
    second = {"a": truth["a"], "b": truth["b"], "c": None}
    scored = [evaluate(answers, truth, "native", resamples=0) for answers in (first, second)]
    (comparison,) = compare_results(scored, resamples=200)
    assert (comparison.wins, comparison.ties, comparison.losses) == (1, 2, 0)
    assert comparison.differences["gIoU"].value == pytest.approx(2 / 3 - 1.5 / 3)
    assert comparison.differences["cIoU"].value == pytest.approx(20 / 30 - 15 / 30)
    assert comparison.moved(1).to_dict("records") == [
        {
            "sample_id": "b",
            "question_index": 0,
            "category": None,
            "truth_empty": False,
            "first": 0.5,
            "second": 1.0,
            "change": 0.5,
        }
    ]
    content = comparison.to_dict()
    assert set(content.pop("differences")["gIoU"]) == {"value", "interval", "p_value"}
    assert content.pop("models").keys() == {"first", "second"}
    assert content.pop("no_interval").keys() >= {"gIoU", "cIoU"}
    assert content == {
        "grid": "native",
        "first": "predictions",
        "second": "predictions",
        "protocol": "native",
        "questions": 3,
        "wins": 1,
        "ties": 2,
        "losses": 0,
        "moved": [
            {"sample_id": "b", "question_index": 0, "first": 0.5, "second": 1.0},
            {"sample_id": "a", "question_index": 0, "first": 1.0, "second": 1.0},
            {"sample_id": "c", "question_index": 0, "first": 0.0, "second": 0.0},
        ],
    }


def test_a_comparison_as_json_holds_its_intervals_and_p_values():
    (comparison,) = compare_results(results(shrunk(3), shrunk(1)), resamples=100)
    for name, entry in comparison.to_dict()["differences"].items():
        difference = comparison.differences[name]
        assert entry["value"] == difference.value
        assert entry["interval"] == [difference.interval.low, difference.interval.high]
        assert entry["p_value"] == difference.p_value


def test_ten_samples_that_moved_are_listed_and_equal_changes_keep_the_order_of_the_samples():
    (comparison,) = compare_results(results(TRUTH, dict.fromkeys(TRUTH)), resamples=10)
    assert comparison.moved()["sample_id"].tolist() == [f"s{k:02d}" for k in range(10)]
    assert comparison.moved()["change"].tolist() == [-1] * 10


def test_the_seed_decides_the_intervals_and_is_0_where_none_is_named():
    pair = results(shrunk(3), {**TRUTH, "s05": None})
    intervals = {
        seed: compare_results(pair, resamples=100, **options)[0].differences["gIoU"].interval
        for seed, options in {"default": {}, 0: {"seed": 0}, 1: {"seed": 1}}.items()
    }
    assert intervals["default"] == intervals[0] != intervals[1]


def test_wins_and_moves_count_questions_where_each_target_is_scored_on_its_own():
    """Of two targets in opposite corners, one is found or the other; the mean over both decides.

    Answering one corner for both gets the same mean from either corner, so the third question is a tie although both
    of its targets changed.
    """
    corners = np.zeros((2, 8, 8), bool)
    corners[0, :4, :4] = corners[1, 4:, 4:] = True
    one, other = corners
    rles = tuple(map(encode_mask, corners))
    truth = [Reference(name, union_rles(rles), targets=rles, category="corner") for name in "abc"]
    first = {"a": [one, one], "b": [one, other], "c": [one, one]}
    second = {"a": [one, other], "b": [one, one], "c": [other, other]}
    scored = [evaluate(answers, truth, "lasers", resamples=0) for answers in (first, second)]
    (comparison,) = compare_results(scored, resamples=20)
    assert len(scored[0].counts) == 6
    assert (comparison.wins, comparison.ties, comparison.losses) == (1, 1, 1)
    moved = comparison.moved(10)
    assert sorted(moved["sample_id"]) == ["a", "b", "c"]
    # The truth of 512 x 512 pixels grows by 64 rows and columns on the canvas; a wrong corner meets 64 x 64 of them.
    found, missed = 512**2 / 576**2, 64**2 / (512**2 + 576**2 - 64**2)
    row = moved[moved["sample_id"] == "a"].iloc[0]
    assert (row["first"], row["second"]) == pytest.approx(((found + missed) / 2, found))
    assert row["category"] == "corner"
    assert not row["truth_empty"]


def test_only_questions_that_moved_are_listed():
    for other, listed in ((TRUTH, False), (shrunk(3), True)):
        console = Console(file=io.StringIO(), width=200)
        print_comparisons(compare_results(results(TRUTH, other), resamples=20), console)
        assert ("moved most" in console.file.getvalue()) is listed
