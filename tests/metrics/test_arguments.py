"""Wrong values of options give one clear error of this package."""

import json

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset, DatasetDict

from earthreason import RegionAccumulator, evaluate
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.metrics.compare import compare_results
from earthreason.metrics.evaluate import evaluate_protocols

TRUTH = {"a": np.eye(4, dtype=bool)}


@pytest.mark.parametrize("name", ["resamples", "seed", "workers"])
@pytest.mark.parametrize("value", [-1, "x", 1.5, None, True, float("nan"), [3]])
def test_numbers_are_whole_and_not_negative(name, value):
    with pytest.raises(EarthReasonError) as caught:
        evaluate(TRUTH, TRUTH, "native", **{name: value})
    least = 1 if name == "workers" else 0
    assert str(caught.value) == f"{name}={value!r}: pass a whole number of at least {least}"


def test_there_is_at_least_one_thread():
    with pytest.raises(EarthReasonError, match=r"^workers=0: pass a whole number of at least 1$"):
        evaluate(TRUTH, TRUTH, "native", workers=0)


def test_numpy_numbers_are_numbers():
    plain = evaluate(TRUTH, TRUTH, "native", resamples=3, seed=2, workers=1)
    assert evaluate(TRUTH, TRUTH, "native", resamples=np.int64(3), seed=np.uint8(2), workers=np.int32(1)) == plain


@pytest.mark.parametrize(("name", "most"), [("resamples", "1,000,000"), ("workers", "1,024")])
@pytest.mark.parametrize("value", [10**9, 2**70])
def test_numbers_that_would_fill_the_memory_are_refused(name, most, value):
    with pytest.raises(EarthReasonError, match=rf"^{name}={value}: pass a whole number of at most {most}$"):
        evaluate(TRUTH, TRUTH, "native", **{name: value})


def test_numpy_numbers_can_be_written_as_json_and_huge_seeds_are_seeds():
    result = evaluate(TRUTH, TRUTH, "native", resamples=np.int64(3), seed=2**70, workers=np.array(1))
    assert json.loads(json.dumps(result.to_dict()))["provenance"]["seed"] == 2**70


@pytest.mark.parametrize("value", ["no", 0, 1, None, np.int64(1), pd.Series([True])])
def test_options_are_on_or_off(value):
    with pytest.raises(EarthReasonError, match=r"^boundary=.*: pass True or False$") as caught:
        evaluate(TRUTH, TRUTH, "native", boundary=value)
    assert "\n" not in str(caught.value)
    assert evaluate(TRUTH, TRUTH, "native", boundary=np.True_, resamples=0)["Boundary IoU"] == 1


@pytest.mark.parametrize("value", [None, 3, b"native", {"native"}, ["native", None], [["native"]], np.array(3), [3]])
def test_protocols_are_names_in_an_order(value):
    for call in (
        lambda: evaluate_protocols(TRUTH, TRUTH, value),
        lambda: RegionAccumulator(value),
        lambda: evaluate(TRUTH, TRUTH, value),
    ):
        with pytest.raises(UnknownNameError, match="unknown protocol"):
            call()


@pytest.mark.parametrize("value", ["native", ["native"], ("native",), iter(["native"]), np.array(["native"])])
def test_several_protocols_are_any_list_of_names(value):
    (result,) = evaluate_protocols(TRUTH, TRUTH, value, resamples=0)
    assert (result.protocol.name, result["gIoU"]) == ("native", 1)


def test_there_is_at_least_one_protocol():
    for nothing in ([], (), {}, np.array([])):
        with pytest.raises(EarthReasonError, match="^pass at least one protocol$"):
            evaluate_protocols(TRUTH, TRUTH, nothing)


@pytest.mark.parametrize("value", ["emty", None, 0, ["empty"], np.array(["empty", "error"])])
def test_the_treatment_of_missing_answers_is_one_of_two(value):
    with pytest.raises(UnknownNameError, match=r"^unknown value of missing .*\(known: empty, error\)$"):
        evaluate(TRUTH, TRUTH, "native", missing=value)


def test_a_misspelt_treatment_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'empty'"):
        evaluate(TRUTH, TRUTH, "native", missing="emty")


@pytest.mark.parametrize(("option", "value"), [("resamples", 0), ("resamples", "many"), ("seed", -3)])
def test_a_comparison_checks_its_numbers(option, value):
    result = evaluate(TRUTH, TRUTH, "native", resamples=0)
    with pytest.raises(EarthReasonError, match=f"^{option}="):
        compare_results([result, result], **{option: value})


@pytest.mark.parametrize("make", [lambda r: r, lambda r: {"a": r, "b": r}, lambda r: {r}, lambda r: [r, dict(r)]])
def test_a_comparison_takes_a_list_of_results(make):
    result = evaluate(TRUTH, TRUTH, "native", resamples=0)
    for value in (make(result), None, 3, "ab", [None, result], ["a.json", "b.json"]):
        with pytest.raises(EarthReasonError, match="^a comparison takes a list of results of `evaluate`, not "):
            compare_results(value)
    (comparison,) = compare_results(iter([result, result]), resamples=2)
    assert (comparison.wins, comparison.ties, comparison.losses) == (0, 1, 0)
    for count in (-1, 1.5, None, True):
        with pytest.raises(EarthReasonError, match="^count="):
            comparison.moved(count)


def test_results_against_different_masks_are_not_compared():
    mirrored = np.fliplr(TRUTH["a"])
    assert mirrored.sum() == TRUTH["a"].sum()
    assert (mirrored != TRUTH["a"]).any()
    for other in (np.ones((4, 4), bool), mirrored):
        results = [evaluate(TRUTH, truth, "native", resamples=0) for truth in (TRUTH, {"a": other})]
        with pytest.raises(EarthReasonError, match="scored against different masks; score both on one ground truth"):
            compare_results(results)


def test_results_against_equal_masks_in_two_objects_are_compared():
    results = [evaluate(TRUTH, {"a": TRUTH["a"].copy()}, "native", resamples=0) for _ in range(2)]
    (comparison,) = compare_results(results, resamples=10)
    assert comparison.ties == 1


def test_several_splits_name_the_one_to_choose():
    rows = Dataset.from_dict({"sample_id": ["a"]})
    with pytest.raises(EarthReasonError, match=r"train, validation, test.*choose one.*splits\['test'\]"):
        evaluate(TRUTH, DatasetDict(dict.fromkeys(("train", "validation", "test"), rows)), resamples=0)
