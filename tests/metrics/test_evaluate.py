import json

import numpy as np
import pytest
from PIL import Image

from earthreason import evaluate
from earthreason.errors import EarthReasonError, PredictionsError, RLEError
from earthreason.masks.grids import Grid, place_on_grid
from earthreason.masks.rle import encode_mask
from earthreason.metrics.evaluate import evaluate_protocols
from earthreason.metrics.protocols import PROTOCOLS, SEGEARTH_R1
from earthreason.metrics.references import Reference, References, read_references, write_references
from earthreason.metrics.result import NotScored, Result
from earthreason.predictions import Predictions, write_predictions
from earthreason.types import Prediction

FIELD = np.zeros((6, 9), bool)
FIELD[1:4, 2:7] = True
HALF = FIELD & (np.arange(9) < 4)
TRUTH = {"a": FIELD, "b": np.zeros((6, 9), bool)}


def test_arrays_pictures_and_rle_give_the_same_result():
    forms = [HALF, HALF.astype(np.uint8) * 255, Image.fromarray(HALF), encode_mask(HALF)]
    scores = [evaluate({"a": form, "b": None}, TRUTH, resamples=0).scores for form in forms]
    assert all(score == scores[0] for score in scores)


def test_a_file_gives_the_same_result(tmp_path):
    path = tmp_path / "preds.json"
    write_predictions(path, [Prediction("a", encode_mask(HALF)), Prediction("b", None)])
    assert evaluate(path, TRUTH, resamples=0).scores == evaluate({"a": HALF, "b": None}, TRUTH, resamples=0).scores


def test_workers_do_not_change_the_result():
    rng = np.random.default_rng(0)
    truth = {f"s{k}": rng.random((20, 30)) < 0.3 for k in range(40)}
    predictions = {name: rng.random((20, 30)) < 0.3 for name in truth}
    assert evaluate(predictions, truth, workers=1).to_frame().equals(evaluate(predictions, truth, workers=4).to_frame())


def test_missing_questions_are_refused_with_the_remedy():
    with pytest.raises(PredictionsError, match="1 unanswered.*sample 'b'.*--missing empty"):
        evaluate({"a": FIELD}, TRUTH)


def test_missing_questions_can_count_as_empty_and_are_reported():
    result = evaluate({"a": FIELD}, TRUTH, missing="empty", resamples=0)
    assert result.missing == 1
    assert result["N-acc"] == 1
    missed = evaluate({"b": None}, TRUTH, missing="empty", resamples=0)
    assert missed["gIoU"] == 0.5
    assert missed["recall"] == 0


def test_faults_are_gathered():
    predictions = [
        Prediction("a", encode_mask(np.ones((9, 6)))),
        Prediction("c", None),
        Prediction("b", {"size": [6, 9], "counts": "1"}),
        Prediction("a", None, question_index=5),
        Prediction("b", None),
    ]
    with pytest.raises(PredictionsError) as caught:
        evaluate(predictions, TRUTH)
    text = str(caught.value)
    assert "height and width are swapped" in text
    assert "sample 'c': not in ground truth" in text
    assert "falls short" in text
    assert "the sample has 1 question" in text
    assert "predicted more than once" in text


def test_unknown_id_names_the_nearest():
    with pytest.raises(PredictionsError, match="nearest: 'scene_001'"):
        evaluate({"scene_01": None}, {"scene_001": FIELD})


def test_masks_on_the_canvas_are_scored_there():
    canvas = place_on_grid(FIELD, Grid("letterbox", 1024))
    source = Predictions(
        "preds", [Prediction("a", encode_mask(canvas)), Prediction("b", None)], grid=Grid("letterbox", 1024)
    )
    result = evaluate(source, TRUTH, resamples=0)
    assert result["gIoU"] == pytest.approx(1, abs=1e-6)
    assert "Acc@0.5" not in result.scores
    with pytest.raises(EarthReasonError, match="native"):
        evaluate(source, TRUTH, "native")


def test_all_protocols_say_what_they_lack():
    truth = References([Reference("a", encode_mask(FIELD), question_count=3)], "truth")
    source = Predictions("preds", [Prediction("a", encode_mask(HALF))])
    results = evaluate_protocols(source, truth, list(PROTOCOLS.values()), resamples=0)
    lacking = {result.protocol.name for result in results if isinstance(result, NotScored)}
    assert {"geo-r1", "grefcoco", "rrsis-d"} <= lacking
    assert isinstance(results[0], Result)
    assert results[0].protocol is SEGEARTH_R1
    reason = next(r.reason for r in results if isinstance(r, NotScored) and r.protocol.name == "geo-r1")
    assert "2 unanswered" in reason
    assert "predict --questions all" in reason


def test_the_random_question_is_drawn_by_the_seed():
    masks = [FIELD, HALF, np.ones((6, 9), bool)]
    truth = References([Reference(f"s{k}", encode_mask(FIELD), question_count=3) for k in range(20)], "truth")
    answers = [Prediction(f"s{k}", encode_mask(masks[q]), question_index=q) for k in range(20) for q in range(3)]
    score = [evaluate(answers, truth, "think2seg-rs", seed=seed, resamples=0)["gIoU"] for seed in (1, 1, 2)]
    assert score[0] == score[1] != score[2]


def test_results_say_what_they_were_made_of():
    truth = {f"{name}{copy}": mask for copy in range(5) for name, mask in TRUTH.items()}
    content = evaluate({name: HALF if name[0] == "a" else None for name in truth}, truth).to_dict()
    json.dumps(content, allow_nan=False)
    assert len(content["provenance"]["predictions_sha256"]) == 64
    assert (
        content["provenance"]["dataset_sha256"]
        == References(
            [Reference(name, encode_mask(mask)) for name, mask in reversed(truth.items())], "elsewhere"
        ).fingerprint()
    )
    assert content["intervals"]["gIoU"][0] <= content["scores"]["gIoU"] <= content["intervals"]["gIoU"][1]


def test_frames_have_a_row_per_question_and_per_metric():
    result = evaluate({"a": HALF, "b": None}, TRUTH)
    assert list(result.per_sample["sample_id"]) == ["a", "b"]
    assert result.per_sample["intersection"].dtype == np.int64
    assert result.to_frame().loc["gIoU", "value"] == result["gIoU"]


def test_breakdowns_group_and_mark_small_groups():
    truth = References(
        [
            Reference(f"s{k}", encode_mask(FIELD), category="lake" if k < 25 else "dam", ground_resolution=0.5 + k)
            for k in range(30)
        ],
        "truth",
    )
    result = evaluate({f"s{k}": FIELD if k < 25 else None for k in range(30)}, truth, resamples=0)
    table = result.breakdowns["category"]
    assert table.loc["lake", "gIoU"] == pytest.approx(1, abs=1e-6)
    assert table.loc["dam", "gIoU"] == 0
    assert table["n"].to_dict() == {"dam": 5, "lake": 25}
    assert table["few"].to_dict() == {"dam": True, "lake": False}
    assert list(result.breakdowns["gsd"].index) == ["under 1 m", "1 to 5 m", "5 to 15 m", "15 m and more"]
    assert "reasoning_type" not in result.breakdowns


def test_boundary_iou_needs_to_be_asked_for():
    assert "Boundary IoU" not in evaluate({"a": HALF, "b": None}, TRUTH, resamples=0).scores
    scores = evaluate({"a": FIELD, "b": None}, TRUTH, "native", boundary=True, resamples=0).scores
    assert scores["Boundary IoU"] == 1


def test_boundary_iou_counts_unanswered_targets_as_missed():
    scores = evaluate({"b": None}, TRUTH, "native", boundary=True, missing="empty", resamples=0).scores
    assert scores["Boundary IoU"] == 0.5


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ({"size": [2, 2]}, "a mask as RLE is"),
        ({"size": [2, 2], "counts": [3]}, "add up to 3"),
        (Image.new("RGB", (9, 6)), "one channel"),
        (np.zeros((2, 2, 2)), "height, width"),
        (np.where(FIELD, 5.0, -5.0), "threshold it first: `mask > 0` for logits"),
        (np.full(FIELD.shape, np.nan), "a float mask may contain only 0 and 1"),
    ],
)
def test_what_is_no_mask_is_told_with_its_sample(mask, words):
    with pytest.raises((EarthReasonError, RLEError), match=words) as caught:
        evaluate({"a": mask}, TRUTH)
    assert "'a'" in str(caught.value)


def test_ground_truth_files_round_trip(tmp_path):
    truth = References([Reference("a", encode_mask(FIELD), 3, category="lake", ground_resolution=2.5)], "truth")
    write_references(tmp_path / "truth.json", truth)
    assert read_references(tmp_path / "truth.json")["a"] == truth["a"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not ground truth: line 1: expecting value"),
        ("[]", "samples"),
        ('{"samples": [{"sample_id": "a"}]}', r"samples\[0\].segmentation"),
        ('{"samples": [{"sample_id": "a", "segmentation": null}]}', "height and width are needed"),
        ('{"samples": [{"sample_id": "a", "segmentation": {"size": [3, 3], "counts": "1"}}]}', "'a'.*falls short"),
        ('{"samples": [{"sample_id": "a", "segmentation": {"size": [3, 3], "counts": "9ö"}}]}', "'a'.*not COCO RLE"),
    ],
)
def test_broken_ground_truth_names_the_place(tmp_path, text, words):
    path = tmp_path / "truth.json"
    path.write_text(text)
    for predictions in ({"a": None}, {"a": np.ones((3, 3))}):
        with pytest.raises(EarthReasonError, match=words):
            evaluate(predictions, path)


@pytest.mark.parametrize(
    ("protocol", "scored"),
    [
        # The first question of a sample, or one drawn at random, or all: see the table in docs/scoring.md.
        *((name, 1) for name in ("segearth-r1", "unigeoseg", "geoseg-bench", "lisa", "drseg", "think2seg-rs")),
        *((name, 2) for name in ("lasers", "grefcoco", "rrsis-d", "geo-r1")),
    ],
)
def test_how_many_questions_of_a_sample_each_protocol_scores(protocol, scored):
    truth = References([Reference("a", encode_mask(FIELD), question_count=2)], "truth")
    answers = [Prediction("a", encode_mask(FIELD), question_index=index) for index in range(2)]
    assert evaluate(answers, truth, protocol, resamples=0).questions == scored


@pytest.mark.parametrize(("protocol", "side"), [("think2seg-rs", 840), ("rrsis-d", 480), ("lasers", 512)])
def test_only_the_corner_grid_takes_the_letterbox_of_its_side(protocol, side):
    canvas = Grid("letterbox", side)
    masks = {name: Prediction(name, encode_mask(place_on_grid(mask, canvas))) for name, mask in TRUTH.items()}
    with pytest.raises(EarthReasonError, match=f"letterbox-{side} grid"):
        evaluate(Predictions("preds", list(masks.values()), grid=canvas), TRUTH, protocol, resamples=0)
