"""Python has the rule for several predictions of one question that the command line has, and results state it."""

import json

import numpy as np
import pytest

from earthreason import evaluate
from earthreason.errors import EarthReasonError, PredictionsError, UnknownNameError
from earthreason.masks.rle import encode_mask
from earthreason.metrics.evaluate import evaluate_protocols
from earthreason.metrics.inputs import as_predictions
from earthreason.metrics.references import Reference, References
from earthreason.predictions import Predictions, from_coco, open_predictions
from earthreason.types import Prediction

# By hand: two instances of 2 and 4 pixels, of which 2 are the same, cover 4 of the 8 target pixels.
FIELD = np.zeros((4, 6), bool)
FIELD[1:3, 1:5] = True
LEFT = FIELD & (np.arange(6) < 2)
HALF = FIELD & (np.arange(6) < 3)
TRUTH = {"7": FIELD}
RECORDS = [{"image_id": 7, "segmentation": encode_mask(mask), "score": 0.5} for mask in (LEFT, HALF)]
OBJECTS = [Prediction("7", encode_mask(mask)) for mask in (LEFT, HALF)]


def score(predictions, **options):
    return evaluate(predictions, TRUTH, "native", resamples=0, **options)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(RECORDS))
    return path


def test_union_merges_instances_in_every_form_that_can_repeat_a_question(file):
    opened = open_predictions(file)
    forms = [file, str(file), opened, RECORDS, iter(RECORDS), OBJECTS, Predictions("mine", OBJECTS), from_coco(RECORDS)]
    for form in forms:
        result = score(form, instances="union")
        assert result["gIoU"] == 0.5
        assert result.provenance["instances"] == "union"
        assert result.counts.prediction_area.tolist() == [4]
    (result,) = evaluate_protocols(str(file), TRUTH, ["native"], instances="union", resamples=0)
    assert result["cIoU"] == 0.5


def test_without_the_rule_instances_are_refused(file):
    for form in (file, RECORDS, OBJECTS):
        with pytest.raises(PredictionsError, match="--instances union|instances"):
            score(form)


def test_predictions_opened_to_merge_stay_so(file):
    result = score(open_predictions(file, "union"))
    assert (result["gIoU"], result.provenance["instances"]) == (0.5, "union")


def test_union_is_refused_where_it_has_no_meaning():
    with pytest.raises(EarthReasonError, match="but a dict has one entry per question; unite its masks first"):
        score({"7": [LEFT, HALF]}, instances="union")

    class Own:
        source, grid, info = "own", as_predictions(OBJECTS).grid, {}

        def read(self, faults, size_of=None):
            return iter(OBJECTS)

        def fingerprint(self):
            return ""

    with pytest.raises(EarthReasonError, match="but Own reads its predictions itself; merge them there"):
        score(Own(), instances="union")


def test_masks_without_a_union_name_the_question():
    other = Prediction("7", encode_mask(np.ones((4, 5), bool)))
    with pytest.raises(PredictionsError, match="sample '7' question 0: its instances have no union"):
        score([OBJECTS[0], other], instances="union")


def test_predictions_to_merge_have_all_their_faults_listed_and_either_unicode_form_of_a_name():
    mask, broken = encode_mask(np.eye(3, dtype=bool)), {"size": [3, 3], "counts": "1"}
    truth = {"caf\u00e9": np.eye(3, dtype=bool)}
    forms = [Prediction(name, mask) for name in ("caf\u00e9", "cafe\u0301")]
    assert evaluate(forms, truth, "native", instances="union", resamples=0)["gIoU"] == 1
    faulty = [*forms, Prediction("caf\u00e9", broken), Prediction("sea", mask)]
    with pytest.raises(PredictionsError, match=r"(?s)2 errors.*have no union.*'sea': not in"):
        evaluate(faulty, truth, "native", instances="union")


@pytest.mark.parametrize("value", ["onion", None, 1, ["union"], np.array(["error", "union"])])
def test_the_rule_is_one_of_two(value):
    with pytest.raises(UnknownNameError, match=r"^unknown value of instances .*\(known: error, union\)$"):
        score({"7": FIELD}, instances=value)


def test_two_readings_of_one_file_have_one_hash_and_differ_beside_it(tmp_path):
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(RECORDS[1:]))
    images = [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png"}]
    crossed = [{"id": 7, "file_name": "b.png"}, {"id": 8, "file_name": "a.png"}]
    nothing = encode_mask(np.zeros((4, 6), bool))
    truth = References([Reference("a", encode_mask(HALF)), Reference("b", nothing)], "truth")
    readings = [from_coco(path, {"images": each}) for each in (images, crossed)]
    results = [evaluate(reading, truth, "native", missing="empty", resamples=0) for reading in readings]
    assert [result["gIoU"] for result in results] == [1, 0]
    stated = [json.loads(json.dumps(result.to_dict()))["provenance"] for result in results]
    assert stated[0]["predictions_sha256"] == stated[1]["predictions_sha256"]
    assert stated[0]["names_sha256"] != stated[1]["names_sha256"]
    assert score(path).provenance["names_sha256"] is None
    assert score(path).provenance["instances"] == "error"
