"""COCO results in every form that Python has them; expected masks are drawn by pycocotools or worked by hand."""

import json
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from pycocotools import mask as coco

from earthreason import evaluate
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError, UnknownNameError
from earthreason.predictions import PredictionRecords, from_coco, from_folder, open_predictions, read_predictions

# By hand: 4 of the 8 target pixels are predicted and nothing else.
TRUTH = np.zeros((4, 6), bool)
TRUTH[1:3, 1:5] = True
HALF = TRUTH & (np.arange(6) < 3)
MASK = coco.encode(np.asfortranarray(HALF.astype(np.uint8)))
RUNS = [5, 2, 2, 2, 13]
RECORD = {"image_id": 1, "category_id": 3, "segmentation": MASK, "score": 0.5}
RING = (1.0, 1.0, 3.0, 1.0, 3.0, 3.0, 1.0, 3.0)
IMAGES = {"images": [{"id": 1, "file_name": "x/1.jpg"}]}


def giou(source):
    return evaluate(source, {"1": TRUTH}, "native", resamples=0)["gIoU"]


FORMS = {
    "tuple": (RECORD,),
    "generator": (record for record in [RECORD]),
    "mapping": [MappingProxyType(RECORD)],
    "mapping as RLE": [{**RECORD, "segmentation": MappingProxyType(MASK)}],
    "numbers of numpy": [{**RECORD, "image_id": np.int64(1), "score": np.float32(0.5)}],
    "axes of numpy": [{**RECORD, "segmentation": {"size": np.array([4, 6]), "counts": np.array(RUNS)}}],
    "size as tuple": [{**RECORD, "segmentation": {"size": (4, 6), "counts": MASK["counts"].decode()}}],
    "keys that are not read": [{**RECORD, "when": object(), 3: 4}],
    "polygon": [{**RECORD, "segmentation": [list(RING)]}],
    "polygon as tuple": [{**RECORD, "segmentation": [RING]}],
    "polygon as array": [{**RECORD, "segmentation": [np.array(RING)]}],
}


@pytest.mark.parametrize("results", FORMS.values(), ids=FORMS)
def test_every_form_has_the_score_worked_by_hand(results):
    ring = coco.decode(coco.frPyObjects([list(RING)], 4, 6)).any(axis=2)
    assert np.array_equal(ring, HALF)
    assert giou(from_coco(results)) == 0.5


@pytest.mark.parametrize("images", [IMAGES, MappingProxyType(IMAGES), {"images": tuple(IMAGES["images"])}])
def test_images_are_any_mapping(images):
    assert giou(from_coco([RECORD], images)) == 0.5


def test_the_hash_is_that_of_what_is_read():
    plain = from_coco([RECORD]).fingerprint()
    assert from_coco([{**RECORD, "when": object()}]).fingerprint() == plain
    assert from_coco([{**RECORD, "score": 0.25}]).fingerprint() != plain


def name_of(value):
    return "object" if type(value) is object else repr(value)  # whose own text differs between processes


WRONG = [None, True, 0, 2**70, 1.5, float("nan"), b"x", np.array(3), object()]


@pytest.mark.parametrize("value", [*WRONG, {}, RECORD, [None], [[RECORD]], ["x"]], ids=name_of)
def test_other_results_are_refused(value):
    with pytest.raises(EarthReasonError, match="COCO results are a list of records; pass the list or its file"):
        from_coco(value)


@pytest.mark.parametrize("value", [*WRONG, {}, [], "", "a\0b"], ids=name_of)
def test_what_is_no_path_is_refused(value):
    for call in (open_predictions, from_folder, read_predictions):
        with pytest.raises(EarthReasonError, match=r"^predictions: .* is not the path of a file or folder$"):
            call(value)


@pytest.mark.parametrize("value", WRONG[1:], ids=name_of)
def test_other_images_are_refused(value):
    with pytest.raises(DataFormatError, match="a COCO dataset has"):
        from_coco([RECORD], value)


def test_the_rule_and_the_names_are_checked_when_a_file_is_opened(tmp_path):
    path = tmp_path / "coco.json"
    path.write_text(json.dumps([{"image_id": 1, "segmentation": None}]))
    for call in (lambda v: from_coco([RECORD], instances=v), lambda v: open_predictions(path, v)):
        for value in (None, "onion", 3, np.array(["union"])):
            with pytest.raises(UnknownNameError, match="value of instances"):
                call(value)
    for names in ([("1", "a")], "x", 3):
        with pytest.raises(EarthReasonError, match="names: pass a dict of sample ids"):
            open_predictions(path, names=names)
        with pytest.raises(EarthReasonError, match="names: pass a dict"):
            PredictionRecords([RECORD], names=names)


def test_paths_are_texts_or_paths_of_any_kind(tmp_path):
    path = tmp_path / "coco.json"
    path.write_text(json.dumps([{**RECORD, "segmentation": {"size": [4, 6], "counts": RUNS}}]))

    class Own:
        def __fspath__(self):
            return str(path)

    for form in (path, str(path), Own()):
        assert giou(from_coco(form)) == 0.5
        assert giou(open_predictions(form)) == 0.5
        assert len(read_predictions(form).predictions) == 1
    with pytest.raises(DataNotFoundError):
        from_coco(Path("nowhere.json"))


def test_a_matrix_of_pixels_is_not_drawn_as_polygons():
    for rows in (HALF.astype(int).tolist(), HALF.tolist(), HALF.astype(float).tolist()):
        with pytest.raises(EarthReasonError, match="rows of pixels instead of polygons"):
            giou(from_coco([{**RECORD, "segmentation": rows}]))
