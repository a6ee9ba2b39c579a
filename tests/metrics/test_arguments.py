"""Wrong values of options give one clear error of this package."""

import numpy as np
import pytest
from datasets import Dataset, DatasetDict

from earthreason import evaluate
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.metrics.compare import compare_results

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


@pytest.mark.parametrize("value", ["emty", None, 0, ["empty"]])
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


def test_several_splits_name_the_one_to_choose():
    rows = Dataset.from_dict({"sample_id": ["a"]})
    with pytest.raises(EarthReasonError, match=r"train, validation, test.*choose one.*splits\['test'\]"):
        evaluate(TRUTH, DatasetDict(dict.fromkeys(("train", "validation", "test"), rows)), resamples=0)
