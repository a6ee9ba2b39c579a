import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthreason import RegionAccumulator, evaluate
from earthreason.errors import DataFormatError, EarthReasonError

RNG = np.random.default_rng(0)
CASES = [
    (f"s{k:02d}", RNG.random((9, 13)) < 0.4 if k % 3 else None, RNG.random((9, 13)) < (0.3 if k % 4 else 0))
    for k in range(14)
]


def whole():
    return evaluate({c[0]: c[1] for c in CASES}, {c[0]: c[2] for c in CASES}, resamples=200)


@given(st.permutations(range(len(CASES))), st.lists(st.integers(0, 3), min_size=len(CASES), max_size=len(CASES)))
@settings(max_examples=30)
def test_any_order_and_partition_gives_the_one_pass_result(order, parts):
    judges = [RegionAccumulator() for _ in range(4)]
    for position in order:
        judges[parts[position]].update(*CASES[position])
    merged = RegionAccumulator()
    for judge in judges:
        merged.merge(judge)
    assert merged.compute() == whole().scores
    assert merged.intervals(resamples=200) == whole().intervals


def test_state_survives_json():
    judge = RegionAccumulator(["segearth-r1", "native"])
    for case in CASES:
        judge.update(*case)
    restored = RegionAccumulator.from_dict(json.loads(judge.to_json()))
    assert restored.compute() == judge.compute()
    assert restored.compute("native") == judge.compute("native")


def test_a_repeated_question_counts_once():
    judge = RegionAccumulator()
    for case in [*CASES, *CASES[:5]]:
        judge.update(*case)
    assert judge.compute() == whole().scores


def test_a_question_with_two_different_answers_is_an_error():
    judge = RegionAccumulator()
    judge.update("a", np.ones((3, 3)), np.ones((3, 3)))
    judge.update("a", None, np.ones((3, 3)))
    with pytest.raises(EarthReasonError, match="sample 'a' was added twice"):
        judge.compute()


def test_a_failure_is_wrong_whatever_the_target_is_as_evaluate_scores_it():
    truth = {"empty": np.zeros((4, 4), bool), "full": np.ones((4, 4), bool), "none": np.zeros((4, 4), bool)}
    failed = {"sample_id": "empty", "segmentation": None, "failure": "prose"}
    records = [failed, {**failed, "sample_id": "full"}, {"sample_id": "none", "segmentation": None}]
    judge = RegionAccumulator()
    for name, mask in truth.items():
        judge.update(name, None, mask, failed=name != "none")
    assert RegionAccumulator.from_dict(judge.to_dict()).compute() == dict(evaluate(records, truth, resamples=0))
    assert (judge.compute()["gIoU"], judge.compute()["N-acc"]) == (1 / 3, 1 / 2)
    with pytest.raises(EarthReasonError, match="a failure to answer has no mask"):
        judge.update("full", truth["full"], truth["full"], failed=True)


def test_nothing_seen_has_no_scores():
    assert RegionAccumulator().compute()["gIoU"] is None


def test_sizes_must_match():
    with pytest.raises(EarthReasonError, match="3x3 but the ground truth is 4x4"):
        RegionAccumulator().update("a", np.ones((3, 3)), np.ones((4, 4)))


def test_grids_that_were_not_counted_are_named():
    with pytest.raises(EarthReasonError, match="stretch-480"):
        RegionAccumulator().compute("rrsis-d")
    with pytest.raises(EarthReasonError, match="use the same grids"):
        RegionAccumulator().merge(RegionAccumulator(["native"]))


def test_other_json_is_refused():
    with pytest.raises(DataFormatError, match="RegionAccumulator"):
        RegionAccumulator.from_dict({"format": "something"})


@pytest.mark.parametrize("state", [None, 3, "x", [], {}, np.array(3), {"format": np.array([1, 2])}])
def test_what_is_no_state_is_refused(state):
    with pytest.raises(DataFormatError, match="^not a state of RegionAccumulator: its format is .*, not 'earth"):
        RegionAccumulator.from_dict(state)


COLUMNS = {
    "cut": ([], "different lengths"),
    "texts": (["x"], "intersection: expected whole numbers of at least 0"),
    "negative": ([-1], "whole numbers of at least 0"),
    "fraction": ([2.5], "whole numbers"),
    "none": ([None], "whole numbers"),
    "huge": ([2**70], "whole numbers"),
    "nested": ([[1]], "whole numbers"),
    "no list": (1, "whole numbers"),
    "more than the mask": ([10], "more common pixels than a mask"),
}


@pytest.mark.parametrize(("column", "words"), COLUMNS.values(), ids=COLUMNS)
def test_damaged_counts_are_not_scored(column, words):
    judge = RegionAccumulator("native")
    judge.update("a", np.ones((3, 3)), np.ones((3, 3)))
    state = judge.to_dict()
    (table,) = state["tables"].values()
    table["intersection"] = column
    with pytest.raises(DataFormatError, match=words):
        RegionAccumulator.from_dict(state)


def test_a_state_without_a_part_names_it():
    state = RegionAccumulator("native").to_dict()
    for key, words in (("protocols", "at least one protocol"), ("tables", "lacks the table native")):
        with pytest.raises(EarthReasonError, match=words):
            RegionAccumulator.from_dict({name: value for name, value in state.items() if name != key})
    (table,) = state["tables"].values()
    del table["truth_area"]
    with pytest.raises(DataFormatError, match="needs the column 'truth_area'"):
        RegionAccumulator.from_dict(state)


def test_only_accumulators_are_merged_and_intervals_check_their_numbers():
    judge = RegionAccumulator("native")
    for other in (None, 3, {}, judge.to_dict(), [judge]):
        with pytest.raises(EarthReasonError, match="only another RegionAccumulator can be merged, not "):
            judge.merge(other)
    for option in ({"resamples": -1}, {"resamples": "x"}, {"seed": 1.5}, {"resamples": 10**9}):
        with pytest.raises(EarthReasonError, match="pass a whole number"):
            judge.intervals(**option)


def test_every_ignored_region_of_a_list_counts():
    # By hand: 8 predicted pixels, of which 2 hit the target, 2 lie in the first and 3 in the second ignored region.
    target, prediction, first, second = (np.zeros((4, 4), bool) for _ in range(4))
    target[0, :2], prediction[:2], first[1, :2], second[1, 1:] = True, True, True, True
    judge = RegionAccumulator("lisa")
    judge.update("a", prediction, target, ignore=[first, second])
    assert judge.compute()["cIoU"] == pytest.approx(2 / 4)
