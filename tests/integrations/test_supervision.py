"""Rows and predictions become supervision's `Detections`, and come back as predictions, in the real library.

EARTHREASON_SUPERVISION=/path/to/environment/bin/python python -m pytest tests/integrations/test_supervision.py
"""

import pytest

from tests.integrations.foreign import snippet_of

START = """
import json, sys
import numpy as np
import supervision as sv
from earthreason import evaluate, load_dataset
from earthreason_supervision import *

def drawn(top, left, bottom, right):
    mask = np.zeros((6, 8), bool)
    mask[top:bottom, left:right] = True
    return mask
"""
LIBRARY = "supervision"


def test_the_box_of_a_mask_ends_after_its_last_pixel(run):
    # Rows 1 and 2, columns 2 to 4: the area of the box is 3 x 2, as that of the mask.
    code = """
found = detections_of_masks("a", [drawn(1, 2, 3, 5)], 0.75)
print(json.dumps([found.xyxy.tolist(), found.box_area.tolist(), found.area.tolist(), found.confidence.tolist(),
    [str(name) for name in found.data["class_name"]], [str(name) for name in found.data["sample_id"]]]))
"""
    assert run(code) == [[[2, 1, 5, 3]], [6], [6], [0.75], ["prediction"], ["a"]]


def test_a_row_gives_one_detection_a_target_and_none_for_an_empty_one(run):
    code = """
halves = [drawn(0, 0, 1, 8), drawn(1, 0, 2, 8)]
row = {"sample_id": "a", "category": "pier", "mask": drawn(0, 0, 2, 8), "targets": halves}
both = detections_of_row(row)
one = detections_of_row({**row, "targets": None})
none = detections_of_row({**row, "mask": drawn(0, 0, 0, 0), "targets": None})
print(json.dumps([both.xyxy.tolist(), [str(name) for name in both.data["class_name"]], one.xyxy.tolist(), len(none)]))
"""
    assert run(code) == [[[0, 0, 8, 1], [0, 1, 8, 2]], ["pier", "pier"], [[0, 0, 8, 2]], 0]


def test_a_row_with_hidden_labels_is_refused(run):
    code = """
try:
    detections_of_row({"sample_id": "a", "mask": None, "targets": None})
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""
    assert run(code) == ["DataFormatError", "sample 'a' has no mask: this split's labels are hidden"]


def test_detections_of_every_row_score_one_and_a_compact_mask_too(run):
    code = """
rows = load_dataset("earthreason", "sample", split="test[:24]")
found = {row["sample_id"]: detections_of_row(row) for row in rows}
result = evaluate({name: prediction_of(each) for name, each in found.items()}, rows, "native", resamples=0)
from supervision.detection.compact_mask import CompactMask
for each in found.values():
    if len(each):
        each.mask = CompactMask.from_dense(each.mask, each.xyxy, each.mask.shape[1:])
again = evaluate({name: prediction_of(each) for name, each in found.items()}, rows, "native", resamples=0)
print(json.dumps([result["gIoU"], result["N-acc"], result.empty_targets, again["gIoU"], again["N-acc"]]))
"""
    score, no_target, empties, again, again_empty = run(code)
    assert (score, no_target, again, again_empty) == (1, 1, 1, 1)
    assert empties > 0


def test_a_predictions_file_goes_to_detections_and_back_with_the_same_scores(run):
    code = """
from earthreason.predictions import write_predictions
from earthreason.masks.rle import encode_mask
from earthreason.types import Prediction
rows = load_dataset("earthreason", "sample", split="test[:12]")
answers = []
for number, row in enumerate(rows):
    mask = np.asarray(row["mask"]) != 0
    mask[: mask.shape[0] // 2] = False
    answers.append(Prediction(row["sample_id"], None if number == 3 else encode_mask(mask), score=0.5))
write_predictions("file.json", answers)
found = detections_of_predictions("file.json")
back = {name: prediction_of(each) for name, each in found.items()}
print(json.dumps([dict(evaluate(rated, rows, resamples=0)) for rated in ("file.json", back)]))
"""
    before, after = run(code)
    assert before == after
    assert 0 < before["gIoU"] < 1


def test_the_snippet_of_the_page_runs(run):
    code = """
from earthreason.predictions import write_predictions
from earthreason.types import Prediction
from earthreason.masks.rle import encode_mask
rows = load_dataset("earthreason", "sample", split="test[:5]")
given = [Prediction(row["sample_id"], encode_mask(np.asarray(row["mask"]) != 0)) for row in rows]
write_predictions("predictions.json", given)
"""
    code += snippet_of("supervision")
    end = "\nprint(json.dumps([picture.size, len(truth), evaluate(answers, rows, 'native', resamples=0)['gIoU']]))"
    (width, height), targets, score = run(code + end)
    assert width > 0
    assert height > 0
    assert (targets, score) == (1, 1)


def test_supervision_draws_and_counts_them(run):
    code = """
rows = load_dataset("earthreason", "sample", split="test[:6]")
row = next(row for row in rows if not row["is_empty"])
found = detections_of_row(row)
image = np.asarray(row["image"].convert("RGB")).copy()
drawn_image = sv.MaskAnnotator(opacity=1.0, color=sv.Color(255, 0, 255)).annotate(image.copy(), found)
changed = (drawn_image != image).any(axis=2)
outside = changed & ~(np.asarray(row["mask"]) != 0)
mean = sv.metrics.MeanAveragePrecision(sv.metrics.MetricTarget.MASKS)
scored = sv.Detections(found.xyxy, found.mask, np.ones(len(found)), found.class_id)
print(json.dumps([bool(changed.any()), int(outside.sum()), float(mean.update([scored], [found]).compute().map50)]))
"""
    changed, outside, mean_precision = run(code)
    assert (changed, outside) == (True, 0)
    assert mean_precision == pytest.approx(1)


def test_boxes_without_masks_are_no_prediction(run):
    code = """
try:
    prediction_of(sv.Detections(np.array([[0.0, 0, 2, 2]])))
except ValueError as error:
    print(json.dumps(str(error)))
"""
    assert run(code) == "the detections have boxes but no masks; add masks, for example with SAM"
