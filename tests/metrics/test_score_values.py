"""Every score of one small collection of rectangles, worked by hand, and the edges of the rules."""

from dataclasses import replace

import numpy as np
import pytest

from earthreason import evaluate
from earthreason.errors import PredictionsError
from earthreason.masks.rle import encode_mask
from earthreason.metrics.protocols import PROTOCOLS
from earthreason.metrics.references import Reference, References
from earthreason.metrics.scores import get_metric
from earthreason.types import Prediction


def rectangle(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((10, 10), bool)
    mask[top:bottom, left:right] = True
    return mask


NOTHING = rectangle(0, 0, 0, 0)
TARGET = rectangle(0, 0, 4, 5)
# Per case: areas of prediction and truth, shared pixels, union, IoU, Dice.
CASES = {
    "exact": (TARGET, TARGET),  # 20 and 20, 20, 20, 1, 1
    "shifted": (rectangle(2, 0, 6, 5), TARGET),  # 20 and 20, 10, 30, 1/3, 1/2
    "elsewhere": (rectangle(6, 6, 8, 10), TARGET),  # 8 and 20, 0, 28, 0, 0
    "unanswered": (NOTHING, TARGET),  # 0 and 20, 0, 20, 0, 0
    "false alarm": (rectangle(0, 0, 3, 10), NOTHING),  # 30 and 0, 0, 30, 0, 0
    "both empty": (NOTHING, NOTHING),  # 0 and 0, 0, 0, 1, 1
}
SHARED, UNION_OF_TARGETS, PREDICTED = 20 + 10, 20 + 30 + 28 + 20, 20 + 20 + 8 + 30


def judge(cases, protocol="native", **options):
    predictions = {name: prediction if prediction.any() else None for name, (prediction, _) in cases.items()}
    truth = {name: truth for name, (_, truth) in cases.items()}
    return evaluate(predictions, truth, protocol, resamples=0, **options)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("gIoU", (1 + 1 / 3 + 1) / 6),
        ("cIoU", SHARED / (UNION_OF_TARGETS + 30)),
        ("gIoU targets", (1 + 1 / 3) / 4),
        ("cIoU targets", SHARED / UNION_OF_TARGETS),
        ("Dice", (1 + 1 / 2 + 1) / 6),
        ("precision", SHARED / PREDICTED),
        ("recall", SHARED / (4 * 20)),
        ("N-acc", 1 / 2),
        ("T-acc", 3 / 4),  # "elsewhere" misses the target but does not call it empty
        ("FP area", (30 / 100 + 0) / 2),
        ("Pr@0.5", 2 / 6),
        ("Pr@0.9", 2 / 6),
        ("Acc@0.5", 1 / 4),
    ],
)
def test_every_score_of_six_cases(metric, expected):
    assert judge(CASES)[metric] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("rows", "iou", "strictly", "inclusively"),
    [(4, 0.4, 0, 0), (5, 0.5, 0, 1), (6, 0.6, 1, 1)],
)
def test_precision_at_one_half_on_both_sides_of_its_edge(rows, iou, strictly, inclusively):
    pair = {"a": (rectangle(0, 0, rows, 10), rectangle(0, 0, 10, 10))}
    assert judge(pair)["gIoU"] == pytest.approx(iou)
    assert judge(pair)["Pr@0.5"] == strictly
    assert judge(pair, "rrsis-d")["Pr@0.5"] == inclusively


@pytest.mark.parametrize(
    ("protocol", "threshold", "hit"),
    # The prediction has the first 10 * threshold of ten rows. Grids of 1024, 512 and 480 rows have an even number of
    # rows, and five of the ten cover exactly half of them.
    [
        ("segearth-r1", 0.5, 0),
        ("native", 0.5, 0),
        ("unigeoseg", 0.5, 0),
        ("geoseg-bench", 0.5, 0),
        ("rrsis-d", 0.5, 1),
        ("grefcoco", 0.7, 1),
    ],
)
def test_whether_a_protocol_counts_an_iou_at_the_threshold(protocol, threshold, hit):
    pair = {"a": (rectangle(0, 0, round(10 * threshold), 10), rectangle(0, 0, 10, 10))}
    assert judge(pair, protocol)["gIoU"] == pytest.approx(threshold, abs=1e-10)
    assert judge(pair, protocol)[f"Pr@{threshold:g}"] == hit


@pytest.mark.parametrize(
    ("rows", "threshold"),
    # In float32, 10,000 + 1e-5 is 10,000, and 0.6 rounds to more than the double 0.6: the evaluator on a GPU divides
    # integers in float64, where 6,000 / 10,000.00001 is below it.
    [(60, 0.6), (80, 0.8)],
)
@pytest.mark.parametrize(("protocol", "side"), [("segearth-r1", 1024), ("unigeoseg", 512), ("geoseg-bench", 512)])
def test_the_epsilon_keeps_an_iou_of_exactly_a_threshold_below_it(protocol, side, rows, threshold):
    truth = np.zeros((side, side), bool)
    truth[:100, :100] = True
    prediction = np.zeros((side, side), bool)
    prediction[:rows, :100] = True
    result = judge({"a": (prediction, truth)}, protocol)
    assert result["gIoU"] == 100 * rows / (10_000 + 1e-5) < threshold
    assert result[f"Pr@{threshold:g}"] == 0


def test_lisa_divides_in_single_precision_as_torch_tensors_do():
    # 20 / 20.00001 in float32, from a table of reference values: 0.9999995.
    assert judge({"a": (TARGET, TARGET)}, "lisa")["gIoU"] == 0.9999995231628418


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7, 0.8, 0.9])
def test_each_threshold_counts_what_lies_above_it(threshold):
    # 100 rows make an IoU of exactly k / 100; the two questions lie one row below and one row above the threshold.
    below, above = (round(100 * threshold) + step for step in (-1, 1))
    truth = np.ones((100, 3), bool)
    predictions = {str(rows): np.arange(100)[:, None].repeat(3, axis=1) < rows for rows in (below, above)}
    result = evaluate(predictions, dict.fromkeys(predictions, truth), "native", resamples=0)
    assert result[f"Pr@{threshold:g}"] == 0.5


@pytest.mark.parametrize(("rows", "expected"), [(4, 0), (5, 1), (6, 1)])
def test_boxes_that_overlap_by_exactly_one_half_are_hits(rows, expected):
    # The truth's box is the whole picture. A diagonal fills its box, so masks agree on few pixels, boxes on half.
    prediction = np.zeros((10, 10), bool)
    prediction[0, 0] = prediction[rows - 1, 9] = True
    scores = judge({"a": (prediction, rectangle(0, 0, 10, 10))})
    assert scores["gIoU"] == pytest.approx(0.02)
    assert scores["Acc@0.5"] == expected


# One pixel of 64 x 64, found exactly, scores A / (A + epsilon), where A is its area on the grid. The stretched grids
# have no epsilon, so A does not matter there. `lasers` also grows the target; see test_lasers.py.
SINGLE = {"native": 1, "letterbox-1024": 16 * 16, "letterbox-512": 8 * 8}
EPSILONS = {
    "segearth-r1": (1e-5, 1e-10),
    "unigeoseg": (1e-5, 1e-10),
    "geoseg-bench": (1e-5, 1e-10),
    "drseg": (1e-5, 1e-10),
    "lisa": (1e-5, 1e-10),
    "native": (0, 0),
    "geo-r1": (0, 0),
    "grefcoco": (0, 0),
    "think2seg-rs": (0, 0),
    "rrsis-d": (0, 0),
}


@pytest.mark.parametrize("name", EPSILONS)
def test_the_constants_added_before_dividing(name):
    pixel = np.zeros((64, 64), bool)
    pixel[0, 0] = True
    result = judge({"a": (pixel, pixel)}, name)
    epsilon, cumulative = EPSILONS[name]
    area = SINGLE.get(PROTOCOLS[name].grid.name, 1)
    width = np.float32 if name in ("lisa", "drseg") else np.float64
    single = width(area) / (width(area) + width(epsilon))
    assert result["gIoU"] == pytest.approx(float(single), abs=1e-12)
    assert result["cIoU"] == pytest.approx(area / (area + cumulative), abs=1e-15)
    assert result["cIoU targets"] == result["cIoU"]


@pytest.mark.filterwarnings("error::RuntimeWarning")  # an empty union is never divided by
@pytest.mark.parametrize(
    ("name", "refusal", "false_alarm_area"),
    [
        ("segearth-r1", 1, True),
        ("unigeoseg", 1, True),
        ("geoseg-bench", 1, True),
        ("lasers", 1, True),
        ("drseg", 1, True),
        ("lisa", 1, True),
        ("native", 1, True),
        ("grefcoco", 1, True),
        ("think2seg-rs", 1, False),
        ("geo-r1", 0, True),
        ("rrsis-d", 0, True),
    ],
)
def test_what_each_protocol_gives_for_empty_targets(name, refusal, false_alarm_area):
    refused = judge({"a": (NOTHING, NOTHING)}, name)
    assert refused["gIoU"] == refused["Dice"] == refusal
    assert refused["cIoU"] is None  # nothing was drawn and nothing was there: the union is empty
    half = {"hit": (rectangle(0, 0, 5, 10), rectangle(0, 0, 5, 10)), "alarm": (rectangle(0, 0, 5, 10), NOTHING)}
    alarmed = judge(half, name)
    grown = (
        0.06 if name == "lasers" else 1e-6
    )  # one row of ten becomes 102 or 103, and 51 more on the edge of the target
    assert alarmed["gIoU"] == pytest.approx(0.5, abs=grown)
    assert alarmed["cIoU"] == pytest.approx(0.5 if false_alarm_area else 1, abs=grown)
    assert alarmed["FP area"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("shift", "expected"),
    # The diagonal of 30 x 40 is 50, so the band is 0.02 * 50 = 1 pixel wide. In a 10 x 10 square that is 36 pixels. Two
    # squares one column apart share 9 pixels of the top row and 9 of the bottom row.
    [
        (0, 36 / 36),
        (1, 18 / (36 + 36 - 18)),
        (10, 0),
    ],
)
def test_boundary_iou_of_shifted_squares(shift, expected):
    truth = np.zeros((30, 40), bool)
    truth[10:20, 10:20] = True
    scores = judge({"a": (np.roll(truth, shift, axis=1), truth)}, boundary=True)
    assert scores["Boundary IoU"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(("protocol", "refusal"), [("native", 1), ("geo-r1", 0)])
def test_boundary_iou_of_one_pixel_and_of_nothing(protocol, refusal):
    pixel = rectangle(3, 3, 4, 4)
    assert judge({"a": (pixel, pixel)}, protocol, boundary=True)["Boundary IoU"] == 1
    assert judge({"a": (NOTHING, pixel)}, protocol, boundary=True)["Boundary IoU"] == 0
    assert judge({"a": (pixel, NOTHING)}, protocol, boundary=True)["Boundary IoU"] == 0
    assert judge({"a": (NOTHING, NOTHING)}, protocol, boundary=True)["Boundary IoU"] == refusal


def test_single_pixels_have_a_box_and_a_dice():
    pixel = rectangle(3, 3, 4, 4)
    scores = judge({"hit": (pixel, pixel), "miss": (rectangle(5, 5, 6, 6), pixel), "none": (NOTHING, pixel)})
    assert scores["Acc@0.5"] == scores["Dice"] == scores["gIoU"] == pytest.approx(1 / 3)


TENTHS = ["Pr@0.5", "Pr@0.6", "Pr@0.7", "Pr@0.8", "Pr@0.9"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("segearth-r1", TENTHS),
        ("native", TENTHS),
        ("unigeoseg", TENTHS),
        ("geoseg-bench", TENTHS),
        ("lasers", []),
        ("drseg", []),
        ("rrsis-d", TENTHS),
        ("grefcoco", TENTHS[2:]),
        ("lisa", []),
        ("geo-r1", []),
        ("think2seg-rs", []),
    ],
)
def test_each_protocol_reports_the_precisions_of_its_evaluator(name, expected):
    scores = judge(CASES, name).scores
    assert [metric for metric in scores if metric.startswith("Pr@")] == expected
    assert {"gIoU", "cIoU", "gIoU targets", "cIoU targets", "Dice", "N-acc", "T-acc"} <= set(scores)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("mIoU", "gIoU"),
        ("oIoU", "cIoU"),
        ("P@0.5", "Pr@0.5"),
        ("p@0.9", "Pr@0.9"),
        ("f1", "Dice"),
        ("RECALL", "recall"),
    ],
)
def test_papers_names_of_metrics(alias, name):
    assert get_metric(alias).name == name


def test_a_protocol_that_is_not_registered_has_its_own_thresholds():
    ours = replace(PROTOCOLS["native"], name="ours", thresholds=(0.25, 0.5))
    result = judge({name: CASES[name] for name in ("exact", "shifted", "elsewhere")}, ours)
    # IoU is 1, 1/3 and 0.
    assert [result["Pr@0.25"], result["Pr@0.5"]] == pytest.approx([2 / 3, 1 / 3])
    assert "Pr@0.7" not in result.scores


@pytest.mark.parametrize(("index", "accepted"), [(0, True), (1, True), (2, False), (3, False)])
def test_questions_are_counted_from_zero(index, accepted):
    truth = References([Reference("a", encode_mask(TARGET), question_count=2)], "truth")
    answers = [Prediction("a", encode_mask(TARGET), question_index=0)] if index else []
    answers.append(Prediction("a", encode_mask(TARGET), question_index=index))
    if accepted:
        assert evaluate(answers, truth, "native", resamples=0)["gIoU"] == 1
    else:
        with pytest.raises(
            PredictionsError, match=f"sample 'a' question {index}: the sample has 2 questions, counted from 0"
        ):
            evaluate(answers, truth, "native", resamples=0)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_which_questions_each_evaluator_scores(name):
    # Of each sample, the first question is answered with the target and the second with nothing. A question drawn at
    # random is the first one about 20 times in 40: less than 5 or more than 35 times with a probability of 1e-6.
    truth = References([Reference(f"s{k}", encode_mask(np.ones((8, 8))), question_count=2) for k in range(40)], "truth")
    answers = [Prediction(f"s{k}", truth[f"s{k}"].segmentation, question_index=0) for k in range(40)]
    answers += [Prediction(f"s{k}", None, question_index=1) for k in range(40)]
    result = evaluate(answers, truth, name, resamples=0)
    if name in ("segearth-r1", "unigeoseg", "geoseg-bench", "native", "lisa", "drseg"):
        assert (result.questions, result["gIoU"]) == (40, pytest.approx(1, abs=1e-6))
    elif name == "think2seg-rs":
        assert result.questions == 40
        assert 5 / 40 <= result["gIoU"] <= 35 / 40
    else:
        assert name in ("geo-r1", "grefcoco", "lasers", "rrsis-d")
        assert (result.questions, result["gIoU"]) == (80, 1 / 2)
