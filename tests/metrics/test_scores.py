"""Every protocol against decoded numpy, the golden figures and the published reference cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthreason import evaluate
from earthreason.errors import UnknownNameError
from earthreason.masks.grids import place_on_grid
from earthreason.metrics.protocols import PROTOCOLS, Protocol, get_protocol
from earthreason.metrics.scores import METRICS, get_metric


def square(*corners: int) -> np.ndarray:
    mask = np.zeros((10, 10), bool)
    if corners:
        top, left, bottom, right = corners
        mask[top:bottom, left:right] = True
    return mask


TWENTY, SHIFTED = square(0, 0, 4, 5), square(2, 0, 6, 5)
CASES = {
    "exact": (TWENTY, TWENTY),
    "half": (SHIFTED, TWENTY),
    "missed": (square(), TWENTY),
    "false positive": (TWENTY, square()),
    "both empty": (square(), square()),
}


def judge(cases, protocol):
    predictions = {name: mask if mask.any() else None for name, (mask, _) in cases.items()}
    return evaluate(predictions, {name: truth for name, (_, truth) in cases.items()}, protocol, resamples=0)


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("lisa", 0.466667),
        ("native", 0.466667),
        ("grefcoco", 0.466667),
        ("geo-r1", 0.266667),
        ("rrsis-d", 0.266667),
        ("segearth-r1", 0.466667),
        ("unigeoseg", 0.466667),
        ("geoseg-bench", 0.466667),
        ("drseg", 0.466667),
        ("think2seg-rs", 0.466667),
    ],
)
def test_mean_iou_of_the_five_reference_cases(protocol, expected):
    tolerance = 1e-6 if get_protocol(protocol).grid.kind == "native" else 2e-3  # 10 pixels do not divide every grid
    assert judge(CASES, protocol)["gIoU"] == pytest.approx(expected, abs=tolerance)


def test_cumulative_iou_of_the_reference_cases():
    assert judge(CASES, "lisa")["cIoU"] == pytest.approx(30 / 90, abs=1e-9)


def test_false_positives_are_free_in_the_cumulative_iou_of_think2seg():
    free, counted = judge(CASES, "think2seg-rs")["cIoU"], judge(CASES, "native")["cIoU"]
    assert free == pytest.approx(30 / 70, abs=2e-3)
    assert counted == pytest.approx(30 / 90)


def test_empty_answer_to_empty_target_scores_one_in_the_official_protocol():
    assert judge({"both": CASES["both empty"]}, "segearth-r1")["gIoU"] == 1


def test_iou_of_exactly_one_half_fails_strictly_and_passes_inclusively():
    pair = {"half": (square(0, 0, 5, 10), square(0, 0, 10, 10))}
    assert judge(pair, "native")["Pr@0.5"] == 0
    assert judge(pair, "rrsis-d")["Pr@0.5"] == 1


def test_grefcoco_ranks_targets_only():
    assert judge(CASES, "grefcoco")["Pr@0.9"] == pytest.approx(1 / 3)
    assert judge(CASES, "native")["Pr@0.9"] == pytest.approx(2 / 5)


def test_accuracies_on_empty_and_present_targets():
    scores = judge(CASES, "native").scores
    assert scores["N-acc"] == 0.5
    assert scores["T-acc"] == pytest.approx(2 / 3)
    assert scores["FP area"] == pytest.approx(0.2 / 2)


def test_scores_without_their_kind_are_undefined():
    scores = judge({"exact": CASES["exact"]}, "native").scores
    assert scores["N-acc"] is None
    assert scores["FP area"] is None


def stretch_with_torch(mask: np.ndarray, side: int) -> np.ndarray:
    torch = pytest.importorskip("torch")
    values = torch.from_numpy(mask[None, None].astype(np.float32))
    stretched = torch.nn.functional.interpolate(values, (side, side), mode="bilinear", align_corners=False)
    return stretched[0, 0].numpy() > 0


def decoded_scores(cases: dict, rules: Protocol) -> dict[str, float]:
    """gIoU and cIoU from decoded pixels, spelled out."""
    ious, shared, united = [], 0, 0
    for prediction, truth in cases.values():
        p = place_on_grid(prediction, rules.grid)
        t = stretch_with_torch(truth, rules.grid.side) if rules.stretch_truth else place_on_grid(truth, rules.grid)
        i, u = int((p & t).sum()), int((p | t).sum())
        width = np.dtype(rules.float_type).type
        nothing = 0.0 if rules.empty_answer_needed and prediction.any() else rules.both_empty_iou
        ious.append(float(width(i) / (width(u) + width(rules.epsilon))) if u else nothing)
        shared += i
        if t.any() or rules.count_false_positive_area:
            united += u
    return {
        "gIoU": float(np.mean(ious)),
        "cIoU": shared / (united + rules.cumulative_epsilon) if united else None,
    }


@st.composite
def collections(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    cases = {}
    for number in range(draw(st.integers(1, 5))):
        shape = (draw(st.integers(1, 60)), draw(st.integers(1, 60)))
        density = draw(st.sampled_from([0.0, 0.02, 0.5, 1.0])), draw(st.sampled_from([0.0, 0.02, 0.5, 1.0]))
        cases[f"s{number}"] = tuple(rng.random(shape) < d for d in density)
    return cases


@pytest.mark.parametrize("name", PROTOCOLS)
@given(cases=collections())
@settings(max_examples=15)
def test_every_protocol_equals_decoded_pixels(name, cases):
    result = judge(cases, name)
    for metric, expected in decoded_scores(cases, get_protocol(name)).items():
        assert result[metric] == (None if expected is None else pytest.approx(expected, abs=1e-12))


@pytest.fixture
def golden_masks(golden_pairs):
    pairs = golden_pairs["pairs"]
    return [{str(pair["id"]): pair[key] for pair in pairs} for key in ("prediction", "ground_truth")]


@pytest.mark.parametrize(("protocol", "key"), [("segearth-r1", "canvas_1024"), ("native", "native")])
def test_golden_scores_agree(golden_pairs, golden_masks, protocol, key):
    result = evaluate(*golden_masks, protocol, resamples=0)
    expected = {name: value for name, value in golden_pairs[key].items() if name != "protocol"}
    assert set(expected) >= {"gIoU", "cIoU"}
    assert {name: result[name] for name in expected} == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("protocol", "grid", "both_empty", "false_alarms_count"),
    [
        pytest.param("rrsis-d", "stretch_480", 0, True),
        pytest.param("think2seg-rs", "stretch_840", 1, False),
        ("geo-r1", "native", 0, True),
        ("grefcoco", "native", 1, True),
        ("lisa", "native", 1, True),
    ],
)
def test_golden_counts_make_the_scores_of_other_protocols(
    golden_pairs, golden_masks, protocol, grid, both_empty, false_alarms_count
):
    shared, union = np.array([[p[grid]["intersection"], p[grid]["union"]] for p in golden_pairs["pairs"]]).T
    ious = np.where(union == 0, both_empty, shared / np.maximum(union, 1))
    if not false_alarms_count:
        union = union * [p["kind"] not in ("gt_empty", "both_empty") for p in golden_pairs["pairs"]]
    result = evaluate(*golden_masks, protocol, resamples=0)
    assert result["gIoU"] == pytest.approx(ious.mean(), abs=1e-6)
    assert result["cIoU"] == pytest.approx(shared.sum() / union.sum(), abs=1e-12)


def test_papers_names_are_understood():
    assert get_metric("mIoU").name == "gIoU"
    assert get_metric("oiou").name == "cIoU"
    with pytest.raises(UnknownNameError, match="unknown metric 'gIuO'.*gIoU"):
        get_metric("gIuO")


@pytest.mark.parametrize("rules", PROTOCOLS.values(), ids=list(PROTOCOLS))
def test_every_protocol_names_its_source(rules):
    assert rules.paper
    assert rules.evaluator
    assert len(rules.explanation) > 80
    assert all(f"Pr@{threshold:g}" in METRICS for threshold in rules.thresholds)


def test_unknown_protocol_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'segearth-r1'"):
        get_protocol("segearth_r1")
