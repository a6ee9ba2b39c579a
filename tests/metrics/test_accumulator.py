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
