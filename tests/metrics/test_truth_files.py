"""A ground-truth file says what is wrong with it, where, and what to do."""

import gzip
import hashlib
import json

import pytest

from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.metrics import references
from earthreason.metrics.references import Reference, References, read_references

MASK = {"size": [2, 3], "counts": "123"}
SAMPLE = {"sample_id": "a", "segmentation": MASK}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"samples": [SAMPLE | {"height": 3}]}, r"samples\[0\]: height is 3, but that of the mask is 2"),
        ({"samples": [SAMPLE | {"image_id": "b"}]}, "sample_id is 'a' but image_id is 'b'; keep one"),
        ({"samples": [SAMPLE | {"question_count": 10**9}]}, "less than or equal to 10001"),
        ({"samples": [SAMPLE | {"segmentation": "none"}]}, "JSON object, got 'none'"),
        ({"images": [], "annotations": [], "categories": []}, r"a COCO dataset; unite .*pycocotools\.mask\.merge"),
        ({"predictions": [SAMPLE]}, r'predictions; ground truth is \{"samples"'),
        ([SAMPLE], "a list of entries; ground truth is"),
        ({"masks": []}, "an object with the keys masks; ground truth is"),
        (
            b'{"samples": [{"sample_id": "a", "sample_id": "b"}]}',
            "truth.json: key 'sample_id' is written more",
        ),
        (b'{"samples": []}\n{"samples": []}', "not one JSON value: Extra data"),
        (gzip.compress(b"{}"), "packed by gzip; unpack it with gunzip"),
    ],
)
def test_what_is_no_ground_truth_is_named_with_a_remedy(content, words, tmp_path):
    path = tmp_path / "truth.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(DataFormatError, match=words):
        read_references(path)


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path):
    with pytest.raises(DataNotFoundError, match="is a folder; `--data-dir` takes folders"):
        read_references(tmp_path)
    with pytest.raises(EarthReasonError, match="there is no ground-truth file"):
        read_references(tmp_path / "none.json")


def test_ids_may_be_numbers_as_in_predictions_and_sides_may_be_stated(tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"samples": [{"image_id": 7, "segmentation": MASK, "height": 2, "width": 3}]}))
    assert list(read_references(path)) == ["7"]


def test_an_id_may_not_appear_twice():
    with pytest.raises(DataFormatError, match="^truth: sample 'a' appears twice; sample ids are unique$"):
        References([Reference(name, MASK) for name in ("a", "b", "a")], "truth")


@pytest.mark.parametrize("together", [0, 3, 1 << 21])
def test_a_fingerprint_is_the_hash_of_all_samples_in_the_order_of_their_ids(monkeypatch, together):
    monkeypatch.setattr(references, "_HASHED_TOGETHER", together)
    truth = References([Reference(name, MASK) for name in ("b", "cc", "a")], "truth")
    assert truth.fingerprint() == hashlib.sha256(b"1:a 2x3 123\n1:b 2x3 123\n2:cc 2x3 123\n").hexdigest()
