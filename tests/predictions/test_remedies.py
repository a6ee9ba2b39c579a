"""Refusals of predictions say what to do, to a newcomer on the command line, in Python and before a leaderboard."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco

from earthreason import evaluate
from earthreason.errors import PredictionsError
from earthreason.predictions import from_coco, open_predictions
from earthreason.predictions.reader import Predictions
from earthreason.types import Prediction
from tests.encodings import compressed

MASK = np.zeros((30, 50), bool)
MASK[4:9, 5:16] = True
TRUTH = {"a": MASK}


def refusal(tmp_path, content, protocol="native", name="p.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(PredictionsError) as raised:
        evaluate(open_predictions(path), TRUTH, protocol, resamples=0)
    assert len(raised.value.faults) == 1
    return raised.value.faults[0]


def on(grid, shape):
    record = {"sample_id": "a", "segmentation": compressed(np.ones(shape, bool))}
    return {"info": {"grid": grid}, "predictions": [record]}


@pytest.mark.parametrize(
    ("grid", "shape", "protocol", "words"),
    [
        (
            "native",
            (1024, 1024),
            "native",
            "mask is 1024x1024 (height x width), expected 30x50; save masks at the image's own size; if they are on a "
            'canvas, write JSON whose info states it: the `grid` "letterbox-1024", "corner-1024" or "stretch-1024"',
        ),
        ("native", (50, 30), "native", "mask is 50x30 (height x width), expected 30x50; height and width are swapped"),
        (
            "letterbox-1024",
            (30, 50),
            "segearth-r1",
            "mask is 30x50 (height x width), expected 1024x1024; this is the image's own size, so remove `grid` from "
            "the info of the file",
        ),
        (
            "letterbox-1024",
            (512, 512),
            "segearth-r1",
            "mask is 512x512 (height x width), expected 1024x1024; save masks on the canvas that `grid` in the info of "
            "the file states, or correct it",
        ),
    ],
)
def test_a_mask_of_the_wrong_size_says_whether_to_state_a_canvas(grid, shape, protocol, words, tmp_path):
    assert refusal(tmp_path, on(grid, shape), protocol) == f"sample 'a': {words}"


def test_an_unknown_grid_lists_every_kind(tmp_path):
    fault = refusal(tmp_path, on("padded-1024", (4, 4)))
    for name in ("native", "letterbox-1024", "corner-1024", "stretch-840"):
        assert name in fault
    assert fault.endswith("The number is the side of the canvas in pixels.")


@pytest.mark.parametrize("info", ["null", "3", '"model"', "[]"])
def test_an_info_that_is_no_object_may_be_left_out(info, tmp_path):
    fault = refusal(tmp_path, f'{{"info": {info}, "predictions": []}}')
    assert fault.startswith(f"info: expected an object, got {'null' if info == 'null' else ''}")
    assert fault.endswith('; write {"model": "NAME"}, or leave info out')


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (
            {"sample_id": "a", "segmentation": compressed(MASK) | {"area": 55}},
            "[0].segmentation: unknown key 'area' in a mask, which has only 'size' and 'counts'; remove it",
        ),
        (
            {"sample_id": "a", "segmentation": compressed(MASK), "question_idx": 2},
            "[0]: unknown key 'question_idx'; if it is 'question_index', correct it, else remove or rename it",
        ),
        (
            {"sample_id": "a", "segmentations": compressed(MASK)},
            "[0]: unknown key 'segmentations'; if it is 'segmentation', correct it, else remove or rename it",
        ),
        (
            {"sample_id": "a", "mask": compressed(MASK)},
            "[0].segmentation: field required, found only sample_id, mask; write "
            '{"size": [height, width], "counts": "..."}, a list of them, polygons, or null for no target',
        ),
        (
            {"file_name": "a.png", "segmentation": compressed(MASK)},
            "[0].sample_id: field required, found only file_name, segmentation; every entry names its sample by one "
            'text or whole number, as "sample_id" or COCO\'s "image_id"',
        ),
    ],
)
def test_unknown_keys_are_named_beside_the_known_ones(record, words, tmp_path):
    assert refusal(tmp_path, [record]) == words


@pytest.mark.parametrize("content", ['{"a\\nb": 1, "\\ud800": 2}', '[{"sample_id": "a", "a\\nb": 1, "\\ud800": 2}]'])
def test_keys_are_listed_in_one_line_that_can_be_printed(content, tmp_path):
    fault = refusal(tmp_path, content)
    assert r"a\nb" in fault
    assert "\n" not in fault
    assert fault.encode()


def test_keys_of_coco_and_of_ones_own_are_ignored(tmp_path):
    other = {
        "id": 3,
        "category_id": 1,
        "area": 55,
        "bbox": [5, 4, 11, 5],
        "iscrowd": 0,
        "question": "where?",
        "name": 1,
    }
    path = tmp_path / "p.json"
    path.write_text(json.dumps([{"image_id": "a", "segmentation": compressed(MASK), **other}]))
    assert evaluate(path, TRUTH, "native", resamples=0)["gIoU"] == 1


def test_several_instances_say_how_to_unite_them_everywhere(tmp_path):
    halves = [MASK.copy(), MASK.copy()]
    halves[0][:, :10], halves[1][:, 10:] = False, False
    records = [{"image_id": "a", "segmentation": compressed(half)} for half in halves]
    fault = refusal(tmp_path, records)
    for words in ("--instances union", 'open_predictions(path, instances="union")', "pycocotools.mask.merge"):
        assert words in fault
    # What the message says works.
    assert evaluate(open_predictions(tmp_path / "p.json", instances="union"), TRUTH, "native")["gIoU"] == 1
    assert evaluate(from_coco(records, instances="union"), TRUTH, "native")["gIoU"] == 1
    merged = coco.merge([compressed(half) for half in halves])
    merged["counts"] = merged["counts"].decode()
    assert evaluate([{"image_id": "a", "segmentation": merged}], TRUTH, "native")["gIoU"] == 1


def test_an_archive_of_arrays_without_names_says_how_to_name_them(tmp_path):
    np.savez(tmp_path / "p.npz", MASK, MASK)
    with pytest.raises(PredictionsError) as raised:
        evaluate(tmp_path / "p.npz", TRUTH, "native")
    assert len(raised.value.faults) == 2
    expected = "arr_0.npy: no sample has this name; name arrays by sample id: np.savez(path, **{sample_id: mask, ...})"
    assert raised.value.faults[0] == expected
    np.savez(tmp_path / "p.npz", **TRUTH)
    assert evaluate(tmp_path / "p.npz", TRUTH, "native", resamples=0)["gIoU"] == 1


def test_a_sample_may_be_named_as_numpy_names_arrays(tmp_path):
    np.savez(tmp_path / "p.npz", MASK)
    assert evaluate(tmp_path / "p.npz", {"arr_0": MASK}, "native", resamples=0)["gIoU"] == 1


def test_a_record_in_memory_of_the_wrong_size_is_told_alike():
    wrong = Predictions("p", [Prediction("a", compressed(np.ones((64, 64), bool)))])
    with pytest.raises(PredictionsError, match='"letterbox-64", "corner-64" or "stretch-64"'):
        evaluate(wrong, TRUTH, "native")
