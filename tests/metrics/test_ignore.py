"""Ignored pixels count nowhere under the protocols that know them, and are background under the others."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthreason import RegionAccumulator, evaluate
from earthreason.errors import DataFormatError
from earthreason.masks.grids import Grid
from earthreason.masks.rle import encode_mask
from earthreason.metrics.evaluate import evaluate_protocols
from earthreason.metrics.protocols import PROTOCOLS, Protocol
from earthreason.metrics.references import Reference, References, read_references, write_references
from earthreason.predictions import Predictions
from earthreason.types import Prediction

KNOWING = {"lisa", "drseg", "native"}


def region(top: int, bottom: int, left: int = 0, right: int = 10) -> np.ndarray:
    mask = np.zeros((10, 10), bool)
    mask[top:bottom, left:right] = True
    return mask


TRUTH, IGNORED, NOTHING = region(0, 4), region(6, 10), region(0, 0)


def references(truth=TRUTH, ignore=IGNORED):
    return References([Reference("a", encode_mask(truth), ignore=encode_mask(ignore))], "truth")


def judge(prediction, truth=TRUTH, ignore=IGNORED, protocol="native", **options):
    answer = Prediction("a", None if prediction is None else encode_mask(prediction))
    return evaluate([answer], references(truth, ignore), protocol, resamples=0, **options)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_which_protocols_know_ignored_pixels(protocol):
    # The prediction finds all 40 pixels, and marks 20 more of which all are ignored.
    result = judge(TRUTH | region(8, 10), protocol=protocol)
    if protocol in KNOWING:
        assert result["gIoU"] == pytest.approx(1, abs=1e-6)
        assert result["precision"] == 1
    else:
        assert result["gIoU"] == pytest.approx(40 / 60, abs=0.06)


@pytest.mark.parametrize("protocol", sorted(KNOWING))
@pytest.mark.parametrize(
    ("prediction", "truth", "iou"),
    [
        (region(0, 10), TRUTH, 40 / 60),  # 100 pixels of which 40 are ignored
        (region(2, 8), TRUTH, 20 / 60),  # 20 shared, 20 missed, 20 wrong, 20 ignored
        (IGNORED, TRUTH, 0),
        (None, TRUTH, 0),
        (IGNORED, NOTHING, 1),  # nothing that counts was marked
        (region(5, 10), NOTHING, 0),
        (None, NOTHING, 1),
    ],
)
def test_iou_without_the_ignored_pixels(protocol, prediction, truth, iou):
    assert judge(prediction, truth, protocol=protocol)["gIoU"] == pytest.approx(iou, abs=1e-6)


def test_a_mask_of_ignored_pixels_is_no_answer_on_an_empty_target():
    assert judge(IGNORED, NOTHING)["N-acc"] == 1
    assert judge(IGNORED, NOTHING)["FP area"] == 0
    assert judge(IGNORED, NOTHING, protocol="grefcoco")["N-acc"] == 0
    assert judge(region(5, 10), NOTHING)["FP area"] == pytest.approx(0.1)


@given(st.integers(0, 2**32))
@settings(max_examples=50)
def test_counts_are_those_of_lisas_histograms(seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 1, 255], (12, 17))
    prediction = rng.random((12, 17)) < 0.5
    output = np.where(labels == 255, 255, prediction)  # LISA's intersectionAndUnionGPU
    shared = int(((output == labels) & (output == 1)).sum())
    union = int((output == 1).sum() + (labels == 1).sum()) - shared
    counts = judge(prediction, labels == 1, labels == 255, "lisa").counts
    assert (counts.intersection[0], counts.union[0]) == (shared, union)
    judged = RegionAccumulator(["lisa", "geo-r1"])
    judged.update("a", prediction, labels == 1, ignore=labels == 255)
    assert judged.tables()[PROTOCOLS["lisa"].view].union[0] == union
    assert judged.tables()[PROTOCOLS["geo-r1"].view].union[0] == (prediction | (labels == 1)).sum()


def test_boundary_bands_leave_out_ignored_pixels():
    # The bands are one pixel wide. The second square and its whole band are ignored.
    prediction = region(1, 4, 1, 4) | region(6, 9, 1, 4)
    result = judge(prediction, region(1, 4, 1, 4), region(5, 10), boundary=True)
    assert result["Boundary IoU"] == 1


def test_boundary_bands_keep_ignored_pixels_where_a_protocol_knows_none():
    # Worked by hand: the band of a square of 3 x 3 pixels is its outline of 8 pixels.
    prediction = region(1, 4, 1, 4) | region(6, 9, 1, 4)
    truth = references(region(1, 4, 1, 4), region(5, 10))
    results = evaluate_protocols({"a": prediction}, truth, ["geo-r1", "native"], boundary=True, resamples=0)
    assert [result["Boundary IoU"] for result in results] == [8 / 16, 1]


@pytest.mark.parametrize(("counting", "n_acc"), [([(0, 0), (1, 1)], 0), ([(1, 1)], 1), ([(0, 0)], 1)])
def test_an_answer_of_ignored_pixels_only_is_empty_even_where_pixels_vanish_on_the_grid(counting, n_acc):
    # A stretch from 4 to 2 pixels keeps the rows and columns 1 and 3 (Pillow's centres: floor((i + 0.5) * 2)).
    rules = Protocol(
        name="ours", title="", paper="", evaluator="", grid=Grid("stretch", 2), ignore=True, both_empty_iou=1.0
    )
    answer, ignored = np.zeros((2, 4, 4), bool)
    for pixel in counting:
        answer[pixel] = True
    ignored[counting[-1]] = True
    result = evaluate([Prediction("a", encode_mask(answer))], references(np.zeros((4, 4), bool), ignored), rules)
    assert result["N-acc"] == n_acc


def test_a_pixel_is_not_both_target_and_ignored():
    with pytest.raises(DataFormatError, match=r"truth: sample 'a': 10 pixels are both target and ignored"):
        judge(None, region(0, 7))
    assert judge(None, region(0, 7), protocol="geo-r1")["gIoU"] == 0


def test_a_broken_ignored_mask_is_named():
    broken = References([Reference("a", encode_mask(TRUTH), ignore={"size": [10, 10], "counts": "1"})], "truth")
    with pytest.raises(DataFormatError, match="sample 'a': the RLE of size 10x10 falls short"):
        evaluate({"a": None}, broken, "native", resamples=0)


def test_a_stretched_truth_has_no_place_for_ignored_pixels():
    lasers = vars(PROTOCOLS["lasers"])
    with pytest.raises(ValueError, match="cannot ignore pixels"):
        Protocol(**{**lasers, "ignore": True})


def test_a_ground_truth_file_holds_several_masks_and_ignored_pixels(tmp_path):
    targets = tuple(encode_mask(region(top, top + 2)) for top in (0, 2))
    union = encode_mask(TRUTH)
    written = References([Reference("a", union, targets=targets, ignore=encode_mask(IGNORED))], "truth")
    write_references(tmp_path / "truth.json", written)
    (row,) = json.loads((tmp_path / "truth.json").read_text())["samples"]
    assert row["segmentation"] == list(targets)
    assert read_references(tmp_path / "truth.json")["a"] == written["a"]


def test_the_fingerprint_covers_targets_and_ignored_pixels_and_stays_for_plain_sets():
    mask, other = encode_mask(TRUTH), encode_mask(IGNORED)
    # sha256 of "1:a 10x10 " with the counts, computed apart, so that stored hashes of datasets stay valid.
    plain = References([Reference("a", mask)], "truth").fingerprint()
    import hashlib

    assert plain == hashlib.sha256(f"1:a 10x10 {mask['counts']}\n".encode()).hexdigest()
    variants = [
        Reference("a", mask, targets=(mask, mask)),
        Reference("a", mask, targets=(mask, other)),
        Reference("a", mask, targets=(other, mask)),
        Reference("a", mask, ignore=other),
    ]
    hashes = {References([variant], "truth").fingerprint() for variant in variants}
    assert len(hashes | {plain}) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"segmentation": [encode_mask(TRUTH), {"size": [10, 10]}]},
            r"samples\[0\].segmentation: mask 1 of the list: counts: Field required",
        ),
        (
            {"segmentation": [encode_mask(TRUTH), encode_mask(np.eye(3))]},
            r"samples\[0\].segmentation: .*10x10 and another 3x3",
        ),
        (
            {"segmentation": [encode_mask(TRUTH), {"size": [10, 10], "counts": "1"}]},
            r"samples\[0\].segmentation: .*falls short",
        ),
        ({"segmentation": []}, "segmentation is null, so height and width are needed"),
        ({"segmentation": [None]}, r"samples\[0\].segmentation: "),
        ({"segmentation": encode_mask(TRUTH), "ignore": encode_mask(np.eye(3))}, "ignore is 3x3 but the mask is 10x10"),
        ({"segmentation": encode_mask(TRUTH), "ignore": 3}, r"samples\[0\].ignore"),
    ],
)
def test_faults_of_a_ground_truth_file_are_one_line(tmp_path, changes, message):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"samples": [{"sample_id": "a", **changes}]}))
    with pytest.raises(DataFormatError, match=message) as raised:
        read_references(path)
    assert len(str(raised.value).splitlines()) == 1


def test_an_empty_list_of_masks_is_no_target(tmp_path):
    path = tmp_path / "truth.json"
    path.write_text('{"samples": [{"sample_id": "a", "segmentation": [], "height": 4, "width": 6}]}')
    assert read_references(path)["a"].is_empty


def test_an_answer_that_vanishes_on_a_grid_is_still_an_answer_beside_ignored_pixels():
    # Of 10 x 10 pixels, the grid of 2 x 2 takes rows and columns 2 and 7 (Pillow's centres).
    rules = replace(PROTOCOLS["native"], name="small", grid=Grid("stretch", 2))
    result = judge(region(0, 1, 0, 1), NOTHING, region(8, 10), rules)
    assert result.counts.prediction_area[0] == 0
    assert result["N-acc"] == 0


def test_ignored_pixels_are_placed_on_the_canvas_of_the_predictions():
    rules = replace(PROTOCOLS["native"], name="canvas", grid=Grid("letterbox", 20))
    prediction = np.kron(region(2, 8), np.ones((2, 2), bool))  # 20 shared, 20 missed, 20 wrong, 20 ignored
    canvas = Predictions("canvas", [Prediction("a", encode_mask(prediction))], grid=rules.grid)
    result = evaluate(canvas, references(), rules, resamples=0)
    assert (result.counts.intersection[0], result.counts.union[0]) == (4 * 20, 4 * 60)
