"""COCO results and datasets given in Python: their hashes, their names, and what is refused."""

import json

import numpy as np
import pytest

from earthreason.errors import DataFormatError, PredictionsError
from earthreason.predictions import from_coco

RECORD = {"image_id": "a", "segmentation": {"size": [2, 2], "counts": "22"}}
DATASET = {"images": [{"id": 11, "file_name": "val/a.jpg"}, {"id": 12, "file_name": "b.png"}]}


def test_the_hash_depends_on_the_values_and_not_on_the_order_of_keys():
    same = {"segmentation": {"counts": "22", "size": [2, 2]}, "image_id": "a"}
    other = {**RECORD, "segmentation": {"size": [2, 2], "counts": "13"}}
    first, second, third = (from_coco([record]).fingerprint() for record in (RECORD, same, other))
    assert first == second != third


def test_bytes_and_numpy_values_have_a_hash():
    def fingerprint(**changes):
        return from_coco([{**RECORD, **changes}]).fingerprint()

    assert fingerprint(score=np.float64(0.5)) == fingerprint(score=0.5)
    assert fingerprint(bbox=np.array([1, 2])) == fingerprint(bbox=[1, 2])
    assert fingerprint(segmentation={"size": [2, 2], "counts": b"22"}) == from_coco([RECORD]).fingerprint()
    assert fingerprint(note=b"\xe9") == fingerprint(note="\u00e9")
    assert fingerprint(note=object()) == from_coco([RECORD]).fingerprint()  # a key that is not read


@pytest.mark.parametrize("results", [RECORD, [RECORD, 5], ["ab"], {}])
def test_results_that_are_no_list_of_records_are_refused(results):
    with pytest.raises(PredictionsError) as raised:
        from_coco(results)
    assert str(raised.value).startswith("predictions: ")
    assert str(raised.value).endswith("  COCO results are a list of records; pass the list or its file")


def test_several_results_for_one_image_are_refused_by_default():
    assert from_coco([RECORD]).instances == "error"


@pytest.mark.parametrize("key", ["image_id", "sample_id"])
@pytest.mark.parametrize("given", [11, "11"])
def test_ids_are_looked_up_under_either_key(key, given):
    faults = []
    (prediction,) = from_coco([{key: given, "segmentation": None}], DATASET).read(faults)
    assert (prediction.sample_id, faults) == ("a", [])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], 'a COCO dataset has {"images": [{"id", "file_name"}, ...]}'),
        ({"images": {}}, 'a COCO dataset has {"images": [{"id", "file_name"}, ...]}'),
        ({"images": [{"id": 1}]}, "images[0] needs 'id' and 'file_name'"),
        ({"images": [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}]}, "images[1] has id 1, as"),
        ({"images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "a.jpg"}]}, "[1] has the file stem 'a',"),
    ],
)
@pytest.mark.parametrize("as_file", [False, True])
def test_a_dataset_that_names_no_images_is_refused(tmp_path, images, message, as_file):
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps(images))
    with pytest.raises(DataFormatError) as raised:
        from_coco([], path if as_file else images)
    assert str(raised.value).startswith(f"{path}: " if as_file else "images: ")
    assert message in str(raised.value)


def test_a_dataset_file_is_utf8_json_with_or_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "dataset.json"
    dataset = {"images": [{"id": 1, "file_name": "\u6c34.png"}]}
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_text(json.dumps(dataset, ensure_ascii=False), encoding=encoding)
        (prediction,) = from_coco([{"image_id": 1, "segmentation": None}], path).read([])
        assert prediction.sample_id == "\u6c34"
    for content in (b"{", b"[" * 100_000, b"\xff"):
        path.write_bytes(content)
        with pytest.raises(DataFormatError, match="not JSON: .*; give the COCO dataset of the images"):
            from_coco([], path)


def test_polygons_of_an_entry_without_an_id_need_no_size():
    def size_of(sample_id):
        assert isinstance(sample_id, str)
        return 4, 4

    faults = []
    assert list(from_coco([{"segmentation": [[0, 0, 2, 0, 2, 2]]}]).read(faults, size_of)) == []
    assert len(faults) == 1
    assert "sample_id" in faults[0]
