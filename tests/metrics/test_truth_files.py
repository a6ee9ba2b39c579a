"""A ground-truth file says what is wrong with it, where, and what to do."""

import gzip
import hashlib
import json
import os
from pathlib import Path

import pytest

from earthreason import evaluate
from earthreason.errors import DataFormatError, EarthReasonError, TruthError
from earthreason.metrics import references
from earthreason.metrics.references import Reference, References, read_references

MASK = {"size": [2, 3], "counts": "123"}
SAMPLE = {"sample_id": "a", "segmentation": MASK}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"samples": [SAMPLE | {"height": 3}]}, r"samples\[0\]: height is 3, but that of the mask is 2"),
        ({"samples": [SAMPLE | {"image_id": "b"}]}, "sample_id is 'a' but image_id is 'b'; keep one"),
        ({"samples": [SAMPLE | {"ignore_mask": MASK}]}, "unknown key 'ignore_mask'; if it is 'ignore', correct it"),
        ({"samples": [SAMPLE | {"category": 3}]}, "category: .* got 3; text; leave it out if there is none"),
        (
            {"samples": [SAMPLE | {"ground_resolution": "3"}]},
            "ground_resolution: .*; metres for one pixel; leave it out",
        ),
        (b'{"samples": [{"sample_id": "a", "segmentation": null, "ground_resolution": 1e999}]}', "a finite number"),
        ({"samples": [[SAMPLE]]}, r'samples\[0\]: .*; every entry is \{"sample_id": "...", "segmentation": ...\}'),
        ({"samples": [SAMPLE | {"question_count": 10**9}]}, "less than or equal to 10001"),
        ({"samples": [SAMPLE | {"segmentation": "none"}]}, "JSON object, got 'none'"),
        ({"images": [], "annotations": [], "categories": []}, r"a COCO dataset; unite .*pycocotools\.mask\.merge"),
        ({"predictions": [SAMPLE]}, r'predictions; ground truth is \{"samples"'),
        ({"masks": []}, "an object with the keys masks; ground truth is"),
        ({}, "an empty object; ground truth is"),
        ({"type": "FeatureCollection", "features": []}, "GeoJSON, .*unite the shapes of each image to one mask"),
        (
            {"version": "5.0", "shapes": [], "imagePath": "a.png"},
            "LabelMe or ReasonSeg file of one image; unite the shapes",
        ),
        ({"samples": [SAMPLE | {"score": 0.5}]}, "key 'score' belongs to predictions; give the ground truth"),
        (b'{"samples": [{"sample_id": "a", "sample_id": "b"}]}', r"samples\[0\]: key 'sample_id' is written more"),
        (b'{"samples": []}\n{"samples": []}', "line 2: something follows the samples"),
        (gzip.compress(b"{}", mtime=0)[:-5], "a damaged gzip file"),
        (b"", "the file is empty"),
        (b"sample_id,mask\n", "found 'sample_id,mask'; write the file with json.dump"),
        (b"PAR1....", "a parquet file; write JSON or JSON Lines"),
        (b"\x89PNG\r\n\x1a\n", "one picture; put it as SAMPLE_ID.png into a folder"),
    ],
)
def test_what_is_no_ground_truth_is_named_with_a_remedy(content, words, tmp_path):
    path = tmp_path / "truth.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(DataFormatError, match=words):
        read_references(path)


def test_an_empty_folder_a_dataset_and_a_missing_file_differ(tmp_path):
    with pytest.raises(TruthError, match="contains no masks; expected SAMPLE_ID.png"):
        read_references(tmp_path)
    for part in ("images", "labels", "QAs"):
        (tmp_path / part).mkdir()
    with pytest.raises(TruthError, match="a folder of a dataset, not of masks; `--data-dir` takes it"):
        read_references(tmp_path)
    with pytest.raises(EarthReasonError, match="there is no ground-truth file"):
        read_references(tmp_path / "none.json")


def test_ids_may_be_numbers_as_in_predictions_and_sides_may_be_stated(tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"samples": [{"image_id": 7, "segmentation": MASK, "height": 2, "width": 3}]}))
    assert list(read_references(path)) == ["7"]


def test_every_fault_is_listed_and_the_message_is_bounded(tmp_path):
    path = tmp_path / "truth.json"
    records = [
        {"sample_id": f"s{n}", "segmentation": MASK | ({"counts": 3} if n % 2 else {}), "height": 2 + n % 3}
        for n in range(30)
    ]
    # Odd numbers have wrong counts; of the even ones, two of three state a height that is not 2.
    wrong = [n for n in range(30) if n % 2 or n % 3]
    path.write_text(json.dumps({"samples": [*records, SAMPLE, SAMPLE]}))
    with pytest.raises(TruthError) as raised:
        read_references(path)
    assert [int(fault.split("]")[0].removeprefix("samples[")) for fault in raised.value.faults] == [*wrong, 31]
    assert raised.value.faults[-1] == "samples[31]: sample 'a' appears twice, as in samples[30]; keep one"
    lines = str(raised.value).splitlines()
    assert len(lines) == 12
    assert lines[0] == f"{path}: {len(wrong) + 1} errors"
    assert lines[-1] == f"  ... and {len(wrong) + 1 - 10} more"


def test_repeated_samples_are_listed_with_their_places_in_a_usual_file(tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"samples": [SAMPLE, SAMPLE, SAMPLE | {"sample_id": "b"}, SAMPLE]}))
    with pytest.raises(TruthError) as raised:
        read_references(path)
    assert raised.value.faults == [
        f"samples[{n}]: sample 'a' appears twice, as in samples[0]; keep one" for n in (1, 3)
    ]


@pytest.mark.parametrize("answered", ["abc", "a"])
def test_all_broken_counts_are_listed_when_a_file_is_scored(answered, tmp_path):
    path = tmp_path / "truth.json"
    broken = {"size": [2, 3], "counts": "1"}
    path.write_text(json.dumps({"samples": [SAMPLE, *({"sample_id": i, "segmentation": broken} for i in "bc")]}))
    with pytest.raises(TruthError, match=r"(?s)2 errors.*sample 'b': .*sample 'c': "):
        evaluate(dict.fromkeys(answered), path, "native", missing="empty")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_clear_line(tmp_path):
    path = tmp_path / "truth.json"
    path.write_text("{}")
    path.chmod(0)
    with pytest.raises(TruthError, match="cannot be read: Permission denied; check the path and its permissions"):
        read_references(path)


def test_a_pipe_and_a_device_are_refused_before_they_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path / "pipe.json", Path("/dev/null")):
        with pytest.raises(TruthError, match="a pipe or device, which is read only once; save it to a file first"):
            read_references(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_one_clear_line(tmp_path):
    (tmp_path / "masks").mkdir(mode=0)
    with pytest.raises(TruthError, match="the folder cannot be read .*Permission denied.*check its permissions"):
        read_references(tmp_path / "masks")


def test_an_id_may_not_appear_twice():
    with pytest.raises(DataFormatError, match="^truth: sample 'a' appears twice; sample ids are unique$"):
        References([Reference(name, MASK) for name in ("a", "b", "a")], "truth")


@pytest.mark.parametrize("together", [0, 3, 1 << 21])
def test_a_fingerprint_is_the_hash_of_all_samples_in_the_order_of_their_ids(monkeypatch, together):
    monkeypatch.setattr(references, "_HASHED_TOGETHER", together)
    truth = References([Reference(name, MASK) for name in ("b", "cc", "a")], "truth")
    assert truth.fingerprint() == hashlib.sha256(b"1:a 2x3 123\n1:b 2x3 123\n2:cc 2x3 123\n").hexdigest()
