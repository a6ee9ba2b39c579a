"""SegEarth-R2's rules: each mask is a case, the truth is stretched bilinearly, and masks are matched by order."""

import json

import numpy as np
import pytest

from earthreason import RegionAccumulator, evaluate
from earthreason.errors import EarthReasonError, PredictionsError
from earthreason.masks.grids import Grid, place_on_grid, stretch_bilinear
from earthreason.masks.rle import decode_rle, encode_mask, union_rles
from earthreason.metrics.evaluate import evaluate_protocols
from earthreason.metrics.protocols import PROTOCOLS
from earthreason.metrics.references import Reference, References
from earthreason.metrics.result import Result
from earthreason.predictions.reader import Predictions
from earthreason.types import Prediction
from tests.conftest import SHARED


def block(row: int, column: int, side: int = 8) -> np.ndarray:
    """One quarter of a picture, for which the grid of 1024 is a whole multiple."""
    mask = np.zeros((side, side), bool)
    half = side // 2
    mask[row * half : (row + 1) * half, column * half : (column + 1) * half] = True
    return mask


# A quarter of 8 x 8 covers 512 x 512 pixels. Where it ends inside the picture, interpolation reaches half a source
# pixel further: 64 of the 128 rows or columns that the next pixel covers.
QUARTER, GROWN = 512 * 512, 576 * 576
FOUND = QUARTER / GROWN
A, B, C, NOTHING = block(0, 0), block(1, 1), block(0, 1), np.zeros((8, 8), bool)
# A and B touch in one corner and C touches both, so a wrong answer meets the grown edge of the truth.
A_FOR_B = 64 * 64
C_FOR_A = 512 * 64


def truth_of(*masks, sample_id="a"):
    rles = tuple(map(encode_mask, masks))
    return Reference(sample_id, union_rles(rles), targets=rles if len(rles) > 1 else ())


def answer_of(*masks, sample_id="a"):
    rles = tuple(map(encode_mask, masks))
    return Prediction(sample_id, union_rles(rles) if rles else None, targets=rles if len(rles) > 1 else ())


def judge(answer, truth, protocol="lasers"):
    return evaluate([answer], References([truth], "truth"), protocol, resamples=0)


def iou(shared, predicted=QUARTER):
    return shared / (predicted + GROWN - shared)


@pytest.mark.parametrize(
    ("answers", "truths", "ious"),
    [
        ([A], [A], [FOUND]),
        ([A, B], [A, B], [FOUND, FOUND]),
        ([B, A], [A, B], [iou(A_FOR_B), iou(A_FOR_B)]),  # the order counts
        ([A], [A, B], [FOUND, iou(A_FOR_B)]),  # too few: the last is repeated
        ([C, A], [A, A, A], [iou(C_FOR_A), FOUND, FOUND]),
        ([A, B, C], [A, B], [FOUND, FOUND]),  # too many: cut off
        ([A, B], [A], [FOUND]),
        ([], [A, B], [0, 0]),  # none: zeros
        ([], [A, NOTHING], [0, 1]),  # a union of 0 scores 1
        ([], [NOTHING], [1]),
    ],
)
def test_masks_are_compared_by_their_order(answers, truths, ious):
    result = judge(answer_of(*answers), truth_of(*truths))
    assert result.scored.iou.tolist() == pytest.approx(ious, abs=1e-12)
    assert result.counts.target_index.tolist() == list(range(len(truths)))
    assert result["gIoU"] == pytest.approx(np.mean(ious), abs=1e-12)


def test_the_mean_is_over_masks_and_not_over_questions():
    references = References([truth_of(A, B, A), truth_of(A, sample_id="b")], "truth")
    result = evaluate([answer_of(A, B, A), answer_of(sample_id="b")], references, "lasers", resamples=0)
    assert result["gIoU"] == pytest.approx(3 * FOUND / 4)
    assert result["cIoU"] == pytest.approx(3 * QUARTER / (4 * GROWN))


def test_protocols_of_one_mask_use_the_union():
    assert judge(answer_of(B, A), truth_of(A, B), "native")["gIoU"] == 1
    assert len(judge(answer_of(B, A), truth_of(A, B), "native").counts) == 1


def test_one_pass_serves_all_protocols():
    references = References([truth_of(A, B)], "truth")
    results = evaluate_protocols(
        Predictions("mine", [answer_of(A, B)]), references, list(PROTOCOLS.values()), resamples=0
    )
    scores = {result.protocol.name: result["gIoU"] for result in results if isinstance(result, Result)}
    assert set(scores) == set(PROTOCOLS)
    assert scores["lasers"] == pytest.approx(FOUND)
    assert scores["native"] == 1


@pytest.mark.parametrize("shape", [(8, 8), (6, 8), (8, 5), (103, 103), (100, 301)])
def test_a_wide_image_is_padded_below_and_its_truth_is_stretched(shape):
    rng = np.random.default_rng(0)
    prediction, truth = rng.random(shape) < 0.5, rng.random(shape) < 0.2
    height, width = shape
    # SegEarth-R2 rounds both sides of the resized image and pads it on the right and below.
    rows, columns = (int(side * 1024 / max(shape) + 0.5) for side in shape)
    placed = np.zeros((1024, 1024), bool)
    source = [np.minimum(np.arange(n) * m // n, m - 1) for n, m in ((rows, height), (columns, width))]
    placed[:rows, :columns] = prediction[source[0]][:, source[1]]
    torch = pytest.importorskip("torch")
    values = torch.from_numpy(truth[None, None].astype(np.float32))
    stretched = torch.nn.functional.interpolate(values, (1024, 1024), mode="bilinear", align_corners=False)
    target = stretched[0, 0].numpy() > 0
    result = judge(answer_of(prediction), truth_of(truth))
    assert result["gIoU"] == pytest.approx((placed & target).sum() / (placed | target).sum(), abs=1e-4)


@pytest.mark.parametrize("shape", [(8, 8), (4, 8), (8, 2)])
def test_predictions_on_the_centred_canvas_score_as_those_at_the_images_own_size(shape):
    rng = np.random.default_rng(1)
    prediction, truth = rng.random(shape) < 0.5, rng.random(shape) < 0.5
    canvas = Grid("letterbox", 1024)
    references = References([truth_of(truth)], "truth")
    placed = Predictions("canvas", [answer_of(place_on_grid(prediction, canvas))], grid=canvas)
    protocols = [PROTOCOLS["lasers"], PROTOCOLS["segearth-r1"], PROTOCOLS["native"]]
    on_canvas = evaluate_protocols(placed, references, protocols, resamples=0)
    own = evaluate_protocols(Predictions("own", [answer_of(prediction)]), references, protocols, resamples=0)
    for ours, theirs in zip(on_canvas[:2], own[:2], strict=True):
        assert ours["gIoU"] == theirs["gIoU"]
        assert ours["cIoU"] == theirs["cIoU"]
    assert not isinstance(on_canvas[2], Result)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (encode_mask(np.ones((8, 9))), "mask 2 of 2: mask is 8x9 .*expected 8x8"),
        ({"size": [8, 8], "counts": "1"}, "mask 2 of 2: the RLE of size 8x8 falls short"),
    ],
)
@pytest.mark.parametrize("protocol", ["lasers", "native"])
def test_every_mask_of_an_answer_is_checked(second, message, protocol):
    answer = Prediction("a", encode_mask(A), targets=(encode_mask(A), second))
    with pytest.raises(PredictionsError, match=message) as raised:
        judge(answer, truth_of(A, B), protocol)
    assert len(str(raised.value).splitlines()) <= 2


def test_a_broken_mask_that_is_repeated_is_named_once():
    broken = Prediction("a", {"size": [8, 8], "counts": "1"})
    with pytest.raises(PredictionsError) as raised:
        judge(broken, truth_of(A, B, C))
    assert str(raised.value).count("falls short") == 1


def test_an_accumulator_takes_lists_of_masks_and_survives_json():
    whole = RegionAccumulator(["lasers", "native"])
    whole.update("a", [A, B, C], [A, B])
    whole.update("b", None, [A, NOTHING])
    whole.update("b", None, [A, NOTHING])  # a repeat, as distributed samplers make
    restored = RegionAccumulator.from_dict(json.loads(whole.to_json()))
    for judge_ in (whole, restored):
        assert judge_.compute("lasers")["gIoU"] == pytest.approx((FOUND + FOUND + 0 + 1) / 4)
        assert judge_.compute("native")["gIoU"] == pytest.approx((2 / 3 + 0) / 2)
    assert len(whole) == 3
    with pytest.raises(EarthReasonError, match="pass a mask of zeros"):
        whole.update("c", A, [])


def test_the_area_of_every_golden_truth_is_that_of_the_evaluator(golden_pairs):
    folder = SHARED / "goldens" / "metrics"
    if not folder.is_dir():
        pytest.skip("../shared/goldens is not here")
    stretched = json.loads((folder / "stretch.json").read_text())["pairs"]
    expected = {entry["id"]: entry["bilinear_1024"]["truth"] for entry in stretched}
    for pair in golden_pairs["pairs"]:
        assert stretch_bilinear(decode_rle(pair["ground_truth"]), 1024).sum() == expected[pair["id"]]


def test_the_judge_counts_the_golden_areas(golden_pairs):
    folder = SHARED / "goldens" / "metrics"
    if not folder.is_dir():
        pytest.skip("../shared/goldens is not here")
    stretched = json.loads((folder / "stretch.json").read_text())["pairs"]
    expected = {str(entry["id"]): entry["bilinear_1024"]["truth"] for entry in stretched}
    pairs = {str(pair["id"]): pair["ground_truth"] for pair in golden_pairs["pairs"]}
    counts = evaluate(dict.fromkeys(pairs), pairs, "lasers", resamples=0).counts
    assert dict(zip(counts.sample_id, counts.truth_area, strict=True)) == {name: expected[name] for name in pairs}
