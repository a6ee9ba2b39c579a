"""What each protocol makes of masks that are empty, or that vanish on its grid; expected values from the evaluators."""

import numpy as np
import pytest

from earthreason import RegionAccumulator, evaluate
from earthreason.masks.grids import Grid
from earthreason.masks.rle import encode_mask
from earthreason.metrics.protocols import PROTOCOLS
from earthreason.predictions import Predictions
from earthreason.types import Prediction

WIDE = (40, 8000)
NOTHING = np.zeros(WIDE, bool)
SPECK = NOTHING.copy()
SPECK[0, 12] = True  # the nearest-neighbour grids of 480, 512, 840 and 1024 columns take 8, 15, 14, 7 and 15 near it
BAR = NOTHING.copy()
BAR[:, :4000] = True
VANISHES_ON = {"think2seg-rs", "segearth-r1", "unigeoseg", "geoseg-bench", "rrsis-d"}


def judge(prediction, truth, protocol):
    result = evaluate({"a": prediction}, {"a": truth}, protocol, resamples=0)
    assert (result.counts.truth_area[0] == 0) == (not truth.any() or (truth is SPECK and protocol in VANISHES_ON))
    return result


@pytest.mark.parametrize(
    ("prediction", "truth", "giou", "ciou"),
    [
        (None, NOTHING, 1, None),
        (NOTHING, NOTHING, 1, None),  # a mask without a pixel is the answer "no target", as a black PNG is
        (SPECK, NOTHING, 0, None),  # its 1 asks for an empty answer, not for empty pixels
        (BAR, NOTHING, 0, None),  # a false positive costs nothing in cIoU
        (None, SPECK, 1, None),  # the evaluator looks at the resized truth: nothing is left of it
        (SPECK, SPECK, 0, None),
        (BAR, SPECK, 0, None),
        (None, BAR, 0, 0),
        (SPECK, BAR, 0, 0),
        (BAR, BAR, 1, 1),
    ],
)
def test_think2seg_gives_its_one_to_empty_answers_only(prediction, truth, giou, ciou):
    result = judge(prediction, truth, "think2seg-rs")
    assert result["gIoU"] == giou
    assert result["cIoU"] == ciou
    judged = RegionAccumulator(["think2seg-rs"])
    judged.update("a", prediction, truth)
    assert judged.compute()["gIoU"] == giou


@pytest.mark.parametrize("protocol", ["segearth-r1", "unigeoseg", "geoseg-bench"])
@pytest.mark.parametrize(
    ("prediction", "truth", "giou"),
    [
        (None, NOTHING, 1),
        (NOTHING, NOTHING, 1),
        (SPECK, NOTHING, 1),  # these compare what is left on the grid, whatever was answered
        (BAR, NOTHING, 0),
        (None, SPECK, 1),
        (SPECK, SPECK, 1),
        (BAR, SPECK, 0),
    ],
)
def test_the_letterboxes_see_only_what_is_left_on_the_grid(protocol, prediction, truth, giou):
    assert judge(prediction, truth, protocol)["gIoU"] == giou


@pytest.mark.parametrize(("prediction", "truth"), [(None, NOTHING), (SPECK, NOTHING), (None, SPECK), (SPECK, SPECK)])
def test_an_empty_union_scores_zero_in_rrsis_d(prediction, truth):
    result = judge(prediction, truth, "rrsis-d")
    assert result["gIoU"] == 0
    assert result["cIoU"] is None


@pytest.mark.parametrize("protocol", ["native", "lisa", "drseg", "grefcoco", "geo-r1"])
def test_nothing_vanishes_at_the_images_own_size(protocol):
    refused = 0 if protocol == "geo-r1" else 1
    assert judge(None, NOTHING, protocol)["gIoU"] == judge(NOTHING, NOTHING, protocol)["gIoU"] == refused
    assert judge(SPECK, NOTHING, protocol)["gIoU"] == judge(None, SPECK, protocol)["gIoU"] == 0
    assert judge(SPECK, SPECK, protocol)["gIoU"] == pytest.approx(1, abs=2e-5)


def test_a_speck_never_vanishes_from_a_truth_that_lasers_stretches():
    assert judge(None, SPECK, "lasers")["gIoU"] == 0
    # A prediction that vanishes on an empty target has an empty union, which scores 1 there.
    assert judge(SPECK, NOTHING, "lasers")["gIoU"] == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_answer_is_judged_as_given_in_n_acc(protocol):
    # N-acc and T-acc ask what was answered, at the image's own size, under every protocol.
    assert judge(SPECK, NOTHING, protocol)["N-acc"] == 0
    assert judge(NOTHING, NOTHING, protocol)["N-acc"] == 1
    assert judge(SPECK, SPECK, protocol)["T-acc"] == 1


def test_a_target_that_vanishes_on_the_canvas_is_a_target():
    rows, side = 1024 * 40 // 8000, 1024
    assert not SPECK[:: 40 // rows, np.arange(side) * 8000 // side].any()  # nothing is left of it on the canvas
    nothing = Prediction("a", encode_mask(np.zeros((side, side), bool)))
    canvas = Predictions("canvas", [nothing], grid=Grid("letterbox", side))
    result = evaluate(canvas, {"a": SPECK}, "segearth-r1", resamples=0)
    assert result.counts.truth_area[0] == 0
    assert (result["T-acc"], result["N-acc"]) == (0, None)


def test_the_share_of_a_false_positive_is_of_the_grid():
    left = np.zeros((8, 8), bool)
    left[:, :4] = True
    for protocol in ("segearth-r1", "think2seg-rs", "native"):
        assert evaluate({"a": left}, {"a": left & False}, protocol, resamples=0)["FP area"] == 0.5
