"""Splits of `datasets`, ours and those that others make, in every form of loading; scores are worked by hand."""

import numpy as np
import pytest
from datasets import Array2D, Dataset, Features, Value, concatenate_datasets
from datasets import Image as Picture
from datasets import Sequence as List
from PIL import Image

from earthreason import evaluate, load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.errors import EarthReasonError
from earthreason.masks.rle import encode_mask
from earthreason.metrics.inputs import as_references
from earthreason.metrics.references import Reference
from earthreason.types import Prediction, Sample

# By hand: 4 of 8 target pixels in "1"; "2" is empty and answered as empty. gIoU = (0.5 + 1) / 2.
FIELD = np.zeros((4, 6), bool)
FIELD[1:3, 1:5] = True
HALF = FIELD & (np.arange(6) < 3)
NOTHING = np.zeros((4, 6), bool)
ANSWERS = {1: HALF, 2: None}
QUESTIONS = [["Where?", "And where?"], ["Where?"]]


def giou(predictions, references):
    return evaluate(predictions, references, "native", resamples=0)["gIoU"]


@pytest.fixture(scope="module")
def split():
    return load_dataset("earthreason", "sample", split="test[:4]")


def test_a_split_counts_in_every_format_and_after_every_operation(split):
    masks = {row["sample_id"]: np.asarray(row["mask"]) != 0 for row in split}
    stream = split.to_iterable_dataset()
    forms = [
        split,
        *(split.with_format(name) for name in ("numpy", "pandas", "arrow")),
        split.with_format("numpy", columns=["sample_id"]),
        split.with_transform(dict),
        split.map(lambda row: row),
        split.shuffle(seed=1),
        split.sort("sample_id", reverse=True),
        split.select_columns(["sample_id", "mask", "questions"]),
        stream,
        stream.map(lambda row: row),
        stream.filter(lambda row: True),
        stream.map(lambda row: {"mask": np.asarray(row["mask"]) != 0}),
        split.to_iterable_dataset(num_shards=2),
        list(split),
        map(sample_of_row, split),
        dict(zip(split["sample_id"], split["mask"], strict=True)),
    ]
    for form in forms:
        assert giou(masks, form) == 1
    records = split.select_columns("sample_id").add_column("segmentation", list(map(encode_mask, masks.values())))
    for form in (records, records.to_iterable_dataset(), records.with_format("numpy")):
        assert giou(form, split) == 1


def test_a_split_in_the_format_of_torch_counts(split):
    pytest.importorskip("torch")
    masks = {row["sample_id"]: np.asarray(row["mask"]) != 0 for row in split}
    for form in (split.with_format("torch"), split.to_iterable_dataset().with_format("torch")):
        assert giou(masks, form) == 1
    records = split.select_columns("sample_id").add_column("segmentation", list(map(encode_mask, masks.values())))
    assert giou(records.with_format("torch"), split) == 1


def test_what_a_split_lacks_is_named(split):
    masks = {row["sample_id"]: np.asarray(row["mask"]) != 0 for row in split}
    cases = [
        (split.remove_columns("mask"), "the split has no column mask"),
        (split.rename_column("questions", "question"), "the split has no column questions"),
        (
            split.to_iterable_dataset().map(lambda row: row, remove_columns="mask"),
            r"\[0\]: the split has no column mask",
        ),
        (split.filter(lambda row: False), "there are no samples"),
        (concatenate_datasets([split, split]), "appears twice"),
        (split["mask"], r"\[0\]: expected a Sample or a row"),
        (split[0], "ground truth of 'sample_id'"),
    ]
    for form, words in cases:
        with pytest.raises(EarthReasonError, match=words) as caught:
            giou(masks, form)
        assert "\n" not in str(caught.value)


def own(masks, kind=None):
    columns = {"sample_id": [1, 2], "mask": masks, "questions": QUESTIONS}
    if kind is None:
        return Dataset.from_dict(columns)
    kinds = Features({"sample_id": Value("int64"), "mask": kind, "questions": List(Value("string"))})
    return Dataset.from_dict(columns, features=kinds)


def pictures(convert=lambda picture: picture):
    return [convert(Image.fromarray(mask.astype(np.uint8) * 255)) for mask in (FIELD, NOTHING)]


FORMS = {
    "pictures": lambda: own(pictures(), Picture()),
    "pictures of one bit": lambda: own(pictures(lambda picture: picture.convert("1")), Picture()),
    "pictures in RGB": lambda: own(pictures(lambda picture: picture.convert("RGB")), Picture()),
    "arrays": lambda: own([FIELD.astype(np.uint8), NOTHING.astype(np.uint8)], Array2D((4, 6), "uint8")),
    "lists": lambda: own([FIELD.tolist(), NOTHING.tolist()]),
    "RLE": lambda: own([encode_mask(FIELD), encode_mask(NOTHING)]),
}


@pytest.mark.parametrize("make", FORMS.values(), ids=FORMS)
def test_a_split_of_ones_own_needs_three_columns(make):
    split = make()
    for form in (split, split.to_iterable_dataset(), split.with_format("numpy")):
        assert giou(ANSWERS, form) == 0.75
    assert [reference.question_count for reference in as_references(split).values()] == [2, 1]


def test_pictures_may_lie_in_files(tmp_path):
    for number, picture in enumerate(pictures(), start=1):
        picture.save(tmp_path / f"{number}.png")
    split = own([str(tmp_path / f"{number}.png") for number in (1, 2)]).cast_column("mask", Picture())
    assert giou(ANSWERS, split) == giou(ANSWERS, split.to_iterable_dataset()) == 0.75


def test_an_invalid_row_is_named():
    cases = [
        (
            own([FIELD.astype(float).tolist(), (NOTHING + 0.25).tolist()]),
            r"\[1\]: a float mask may contain only 0 and 1",
        ),
        (own([FIELD.tolist(), None]), "labels are hidden"),
        (own([[1, 2], [3, 4]]), r"\[0\]: a mask has shape \(height, width\)"),
        (own(pictures()).remove_columns("sample_id").add_column("sample_id", ["1", ""]), r"\[1\]: a sample id is"),
    ]
    for split, words in cases:
        with pytest.raises(EarthReasonError, match=words):
            giou(ANSWERS, split)


def test_samples_and_references_are_checked_as_files_are():
    rle = encode_mask(FIELD)
    sample = {"image": None, "mask": FIELD, "questions": []}
    assert giou({"a": HALF}, [Reference("a", FIELD)]) == giou({3: HALF}, [Reference(3, rle)]) == 0.5
    assert giou({"a": HALF}, [Sample(sample_id="a", **sample | {"questions": None})]) == 0.5
    cases = [
        (Reference("a", None), "a mask is missing"),
        (Reference("a", rle, question_count=0), "question_count=0: pass a whole number of at least 1"),
        (Reference("a", rle, ignore=encode_mask(FIELD.T)), r"a mask is 6x4, but the target is 4x6 \(height x width\)"),
        (Reference("a", rle, targets=3), "targets are a tuple of masks, not int"),
        (Reference(None, rle), "a sample id is"),
        (Sample(sample_id=None, **sample), "a sample id is"),
        (Sample(sample_id="a", **sample | {"mask": FIELD * 0.5}), "a float mask"),
        (Sample(sample_id="a", **sample, ignore=FIELD.T), "a mask is 6x4, but the target is 4x6"),
    ]
    for item, words in cases:
        with pytest.raises(EarthReasonError, match=rf"^ground truth: \[0\]: .*{words}"):
            giou({"a": HALF}, [item])


def test_every_field_of_a_prediction_is_checked():
    rle = encode_mask(HALF)
    assert giou([Prediction("1", rle, score=np.float32(0.5)), Prediction(2, None)], own(pictures(), Picture())) == 0.75
    for fields, words in (
        ({"score": float("nan")}, "a score is a finite number or None, not nan"),
        ({"score": "high"}, "a score is a finite number"),
        ({"score": True}, "a score is a finite number"),
        ({"answer": b"x"}, "an answer is a text or None, not bytes"),
        ({"targets": None}, "targets are a tuple of masks, not NoneType"),
        ({"targets": (3,)}, "a mask is a"),
    ):
        with pytest.raises(EarthReasonError, match=rf"\[0\]: {words}"):
            giou([Prediction("1", rle, **fields)], {1: FIELD})
