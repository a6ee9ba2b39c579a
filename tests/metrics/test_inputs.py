"""Collections of predictions and ground truth: what works, and one clear line for what cannot."""

import os
from collections import UserDict
from pathlib import Path, PurePath
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from datasets import DatasetDict, IterableDatasetDict

from earthreason import evaluate, load_dataset
from earthreason.errors import EarthReasonError
from earthreason.masks.rle import encode_mask
from earthreason.metrics.inputs import as_predictions, as_references
from earthreason.predictions import write_predictions
from earthreason.types import Prediction

# By hand: 4 of 8 target pixels in "a"; "b" is empty and answered as empty. gIoU = (0.5 + 1) / 2.
TRUTH = {"a": np.zeros((4, 6), bool), "b": np.zeros((4, 6), bool)}
TRUTH["a"][1:3, 1:5] = True
HALF = TRUTH["a"] & (np.arange(6) < 3)
ANSWERS = {"a": HALF, "b": None}


def giou(predictions, references=TRUTH):
    return evaluate(predictions, references, "native", resamples=0)["gIoU"]


@pytest.fixture(scope="module")
def split():
    return load_dataset("earthreason", "sample", split="test[:4]")


def test_every_form_of_predictions_has_the_score_worked_by_hand(tmp_path):
    records = [{"sample_id": "a", "segmentation": encode_mask(HALF)}, {"sample_id": "b", "segmentation": None}]
    objects = [Prediction("a", encode_mask(HALF)), Prediction("b", None)]
    write_predictions(tmp_path / "p.json", objects)
    forms = [
        ANSWERS,
        {("a", 0): HALF, ("b", np.int64(0)): np.zeros((4, 6))},
        records,
        objects,
        iter(records),
        (prediction for prediction in objects),
        pd.DataFrame({"sample_id": ["a", "b"], "segmentation": [encode_mask(HALF), None]}).to_dict("records"),
        [Prediction("a", HALF), objects[1]],
        tmp_path / "p.json",
        str(tmp_path / "p.json"),
        next(os.scandir(tmp_path)),
        PurePath(tmp_path / "p.json"),
        np.str_(tmp_path / "p.json"),
        MappingProxyType(ANSWERS),
        UserDict(ANSWERS),
        [UserDict(record) for record in records],
        [{**records[0], "segmentation": MappingProxyType(records[0]["segmentation"])}, records[1]],
        [{**records[0], "score": np.float32(0.5), "question_index": np.int64(0), "when": object()}, records[1]],
        [records[0], objects[1]],
        dict(enumerate(records)).values(),
    ]
    assert [giou(form) for form in forms] == [0.75] * len(forms)


def test_integer_ids_of_coco_match_their_text():
    truth = {np.int64(7): TRUTH["a"], 8: TRUTH["b"]}
    assert giou({"7": HALF, np.int32(8): None}, truth) == 0.75
    assert giou([Prediction(7, encode_mask(HALF)), Prediction(np.int64(8), None)], truth) == 0.75


@pytest.mark.parametrize(
    ("predictions", "words"),
    [
        ({"a": HALF, ("a", 0, 1): HALF}, r"prediction of \('a', 0, 1\): a key is a sample id or \(sample id, question"),
        ({(): HALF}, "a key is a sample id or"),
        ({("a", -1): HALF}, "a question index is an integer from 0"),
        ({("a", "first"): HALF}, "a question index"),
        ({True: HALF}, r"prediction of True: a sample id is a text or an integer, not True \(bool\)"),
        ({1.0: HALF}, "a sample id"),
        ({None: HALF}, "a sample id"),
        ({1: HALF, "1": HALF}, "keys 1 and '1' both name sample '1'; keep one"),
        ({"a": HALF, ("a", 0): HALF}, r"keys 'a' and \('a', 0\) both name sample 'a'"),
        ({}, "predictions: there are none"),
        ([], "predictions: there are none"),
        (iter(()), "a generator yields only once"),
        ([HALF], r"\[0\]: a prediction is a record .*, not ndarray"),
        ([("a", HALF)], "not tuple; pass a dict of masks by sample id if you have pairs"),
        ([None], "not NoneType"),
        (["a"], "not str"),
        ([{"sample_id": "a"}], r"\[0\]\.segmentation: field required"),
        ([Prediction("a", None, question_index=-1)], r"\[0\]: a question index"),
        ([Prediction(None, None)], r"\[0\]: a sample id"),
        ([Prediction("a", [[0, 1]])], r"\[0\]: a mask is"),
        ([Prediction("a", {"size": [4, 6]})], r"\[0\]: a mask as RLE is"),
        (pd.DataFrame({"sample_id": ["a"], "mask": [HALF]}), r'not DataFrame; use `\.to_dict\("records"\)`'),
        (pd.Series({"a": HALF}), r"not Series; use `.*\.to_dict\(\)`"),
        (np.zeros((2, 4, 6)), "expected a path.*not ndarray"),
        (b"preds.json", "not bytes"),
        ("", r"predictions: '' \(str\) is not the path of a file or folder"),
        ("a\0b", "is not the path of a file"),
        (Path("x" * 5000), "cannot be read: File name too long"),
        ([{"sample_id": "a", "segmentation": HALF}], r"\[0\].segmentation: .*write {\"size\""),
        (
            [{"sample_id": "a", "segmentation": HALF.astype(int).tolist()}],
            "rows of pixels instead of polygons",
        ),
        (None, "not NoneType"),
        (7, "not int"),
    ],
)
def test_other_predictions_get_one_clear_error(predictions, words):
    with pytest.raises(EarthReasonError, match=words):
        evaluate(predictions, TRUTH)


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        ({}, "ground truth: there are no samples"),
        ([], "ground truth: there are no samples"),
        (iter(()), "an iterator that was read before yields none"),
        ({"a": None}, "ground truth of 'a': a mask is missing: an empty target is"),
        ({1: HALF, "1": HALF}, "keys 1 and '1' both name sample '1'"),
        ({("a", 0): HALF}, r"ground truth of \('a', 0\): a sample id"),
        ([HALF], r"ground truth: \[0\]: expected a Sample or a row, not ndarray"),
        ([{"sample_id": "a", "question": "?"}], r"ground truth: \[0\]: a row needs 'mask'"),
        (["a"], "not str"),
        (pd.DataFrame({"id": ["a"], "mask": [HALF]}), r'not DataFrame; use `dict\(zip\(table\["id"\], table\["mask"\]'),
        (pd.Series({"a": HALF}), "not Series"),
        (np.zeros((2, 4, 6)), "not ndarray"),
        (None, "expected a path, a loaded split"),
        ("", "ground truth: '' .* is not the path"),
        ("x" * 5000, "cannot be read: File name too long; check the path"),
        (b"x", "not bytes"),
    ],
)
def test_other_ground_truth_gets_one_clear_error(truth, words):
    with pytest.raises(EarthReasonError, match=words) as caught:
        evaluate(ANSWERS, truth)
    assert "\n" not in str(caught.value)


def test_swapped_arguments_are_recognised(split, tmp_path):
    swapped = [(split, ANSWERS), (as_references(TRUTH), ANSWERS), (ANSWERS, as_predictions(ANSWERS))]
    for predictions, references in swapped:
        with pytest.raises(EarthReasonError, match=r"write `evaluate\(predictions, references\)`"):
            evaluate(predictions, references)
    with (tmp_path / "p.json").open("w") as file, pytest.raises(EarthReasonError, match="not TextIOWrapper"):
        evaluate(file, TRUTH)


def test_a_dict_of_splits_names_the_split_to_choose(split):
    words = r"several splits \(val\); choose one, such as `splits\['val'\]`"
    for splits in (DatasetDict({"val": split}), IterableDatasetDict({"val": split.to_iterable_dataset()})):
        for arguments in ((ANSWERS, splits), (splits, TRUTH)):
            with pytest.raises(EarthReasonError, match=words):
                evaluate(*arguments)
