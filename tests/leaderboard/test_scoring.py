import json
from dataclasses import replace

import numpy as np
import pytest

from earthreason.masks.rle import decode_rle, encode_mask
from earthreason.metrics.evaluate import evaluate
from earthreason.metrics.references import References
from earthreason.predictions.reader import open_predictions
from leaderboard.comparisons import compare_details, subtract_shown
from leaderboard.records import ALL
from leaderboard.scoring import read_details, score_predictions
from tests.leaderboard.toys import LARGE_INSIDE, LARGE_OUTSIDE, LARGE_SIDE, make_large_squares, make_predictions


def scored(tmp_path, references, seed=0, hidden=False, noise=0.1, **given):
    path = tmp_path / f"{seed}-{noise}.json"
    path.write_bytes(make_predictions(references, seed, noise))
    return score_predictions(open_predictions(path), references, config="toy", split="test", hidden=hidden, **given)


def test_every_score_and_interval_is_that_of_evaluate(tmp_path, references):
    record = scored(tmp_path, references, resamples=300).record
    for protocol in record.protocols:
        expected = evaluate(tmp_path / "0-0.1.json", references, protocol, resamples=300)
        told = record.protocols[protocol].scores[ALL]
        assert {name: cell.value for name, cell in told.items()} == {
            name: value for name, value in expected.scores.items() if value is not None
        }
        for name, interval in expected.intervals.items():
            assert (told[name].low, told[name].high) == (interval.low, interval.high), (protocol, name)


def test_subsets_are_the_breakdowns_of_evaluate(tmp_path, references):
    record = scored(tmp_path, references, resamples=50).record
    expected = evaluate(tmp_path / "0-0.1.json", references, resamples=0).breakdowns
    for heading, frame in expected.items():
        for group, row in frame.iterrows():
            cells = record.protocols["segearth-r1"].scores[f"{heading}: {group}"]
            for name in ("gIoU", "cIoU", "T-acc"):
                if row[name] is None or np.isnan(row[name]):
                    assert name not in cells
                else:
                    assert cells[name].value == pytest.approx(row[name], abs=1e-12)


def test_the_curve_is_the_share_of_questions_above_each_iou(tmp_path, references):
    scoring = scored(tmp_path, references, resamples=0)
    iou = scoring.results["segearth-r1"].scored.iou
    assert scoring.record.curve[10] == (iou > 0.5).mean()
    assert scoring.record.curve == sorted(scoring.record.curve, reverse=True)


def test_kept_counts_give_the_same_scores_and_hold_no_pickle(tmp_path, references):
    scoring = scored(tmp_path, references, resamples=0)
    kept = read_details(scoring.details(), "native")
    assert np.array_equal(kept.iou, scoring.results["native"].scored.iou)
    assert read_details(scoring.details(), "lisa") is None


def test_a_better_model_wins_the_paired_comparison(tmp_path, references):
    good, bad = (
        read_details(scored(tmp_path, references, noise=noise, resamples=0).details(), "native")
        for noise in (0.02, 0.3)
    )
    compared = compare_details(bad, good)
    value, interval = compared.differences["gIoU"]
    assert value == pytest.approx(good.iou.mean() - bad.iou.mean(), abs=1e-12)
    assert interval.low > 0
    assert compared.tests.differences["gIoU"].p_value < 0.01
    assert compared.tests.wins == (good.iou > bad.iou + 1e-6).sum() > compared.tests.losses
    assert compare_details(good, good).tests.ties == len(references)


def test_on_a_hidden_split_models_differ_by_what_their_rows_show(tmp_path, references):
    bad, good = (scored(tmp_path, references, noise=noise, hidden=True).record for noise in (0.3, 0.02))
    compared = subtract_shown(bad, good, "segearth-r1")
    for name, (value, interval) in compared.differences.items():
        shown = good.estimate("segearth-r1", ALL, name).value - bad.estimate("segearth-r1", ALL, name).value
        assert (value, interval) == (pytest.approx(shown, abs=1e-12), None)
    assert compared.differences.keys() == {"gIoU", "cIoU", "Pr@0.5", "N-acc", "T-acc"}
    assert compared.tests is None


def with_pixels_turned(content, sample_ids, y, x):
    """The same predictions but for one pixel of some samples."""
    turned = json.loads(content)
    for record in turned["predictions"]:
        if record["sample_id"] in sample_ids:
            mask = decode_rle(record["segmentation"]).copy()
            mask[y, x] ^= True
            record["segmentation"] = encode_mask(mask)
    return json.dumps(turned).encode()


@pytest.mark.parametrize("turned", [1, 8])
def test_of_a_hidden_split_no_comparison_tells_whether_a_pixel_is_right(tmp_path, turned):
    """Eight images with a pixel each, all for the better: neither a result nor a comparison may notice."""
    references, content = make_large_squares()
    chosen = sorted(references)[:turned]
    records, kept = [], []
    for name, place in (("base", None), ("right", LARGE_INSIDE), ("wrong", LARGE_OUTSIDE)):
        path = tmp_path / f"{name}.json"
        path.write_bytes(content if place is None else with_pixels_turned(content, chosen, *place))
        scoring = score_predictions(open_predictions(path), references, config="toy", split="test", hidden=True)
        records.append(scoring.record)
        kept.append(read_details(scoring.details(), "native"))
    base, right, wrong = kept
    assert (right.iou - base.iou).max() > 0 > (wrong.iou - base.iou).min()
    shown = [subtract_shown(records[0], other, "native") for other in records]
    assert shown[0] == shown[1] == shown[2]
    revealing = [compare_details(base, other, resamples=200) for other in (right, wrong)]
    assert revealing[0].differences != revealing[1].differences  # which is what a hidden split must not show


def test_of_a_hidden_split_neither_precision_nor_curve_reads_off_a_pixel(tmp_path):
    references, content = make_large_squares()
    empty = json.loads(content)
    for record in empty["predictions"]:
        record["segmentation"] = encode_mask(np.zeros((LARGE_SIDE, LARGE_SIDE), bool))
    told = []
    for place in (LARGE_INSIDE, LARGE_OUTSIDE):
        path = tmp_path / "one_pixel.json"
        path.write_bytes(with_pixels_turned(json.dumps(empty), ["large_007"], *place))
        record = score_predictions(
            open_predictions(path), references, config="toy", split="test", hidden=True, resamples=50
        ).record
        told.append(record.model_dump(exclude={"predictions_sha256"}))
    assert told[0] == told[1]


def test_models_that_answered_other_questions_are_not_compared(tmp_path, references):
    kept = read_details(scored(tmp_path, references, resamples=0).details(), "native")
    fewer = type(kept)(kept.counts.select(np.arange(3)), kept.protocol)
    assert compare_details(kept, fewer) is None


def test_masks_on_a_canvas_are_scored_under_the_protocols_of_that_canvas(tmp_path, references):
    from earthreason.masks.grids import Grid
    from earthreason.masks.rle import resample_rle

    grid = Grid("letterbox", 1024)
    records = [
        {"sample_id": r.sample_id, "segmentation": resample_rle(r.segmentation, grid)} for r in references.values()
    ]
    path = tmp_path / "canvas.json"
    path.write_text(json.dumps({"info": {"grid": "letterbox-1024"}, "predictions": records}))
    record = score_predictions(
        open_predictions(path), references, config="toy", split="test", hidden=False, resamples=10
    )
    assert record.record.protocols.keys() == {"segearth-r1", "lasers"}
    assert record.record.estimate("segearth-r1", ALL, "gIoU").value == pytest.approx(1, abs=1e-4)
    assert "letterbox-1024 grid" in record.record.not_scored["native"]
    assert str(tmp_path) not in "".join(record.record.not_scored.values())


def test_a_hidden_split_with_ignored_pixels_leaves_out_the_protocols_that_know_them(tmp_path, references):
    """There, one predicted pixel would decide whether an answer is empty, and T-acc would show its label."""
    corner = {}
    for name, reference in references.items():
        free = ~decode_rle(reference.segmentation)
        free[1:] = False
        corner[name] = replace(reference, ignore=encode_mask(free))
    ignoring = References(corner.values(), "truth")
    assert scored(tmp_path, ignoring, resamples=10).record.protocols.keys() >= {"native", "lisa", "drseg"}
    assert scored(tmp_path, ignoring, hidden=True).record.protocols.keys() == {"segearth-r1"}
