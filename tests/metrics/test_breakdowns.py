"""Where a question falls in each breakdown: edges belong to the upper group."""

import numpy as np
import pytest

from earthreason import evaluate
from earthreason.errors import UnknownNameError
from earthreason.masks.rle import encode_mask
from earthreason.metrics.breakdowns import BREAKDOWNS, score_groups, stratify
from earthreason.metrics.references import Reference, References
from earthreason.types import Prediction


def label_of(heading: str, mask: np.ndarray, **facts) -> str:
    (breakdown,) = [breakdown for breakdown in BREAKDOWNS if breakdown.name == heading]
    return breakdown.label(Reference("a", encode_mask(mask), **facts), 0)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (0, "empty"),
        (1, "under 1 %"),
        (99, "under 1 %"),
        (100, "1 to 5 %"),
        (499, "1 to 5 %"),
        (500, "5 to 20 %"),
        (1_999, "5 to 20 %"),
        (2_000, "20 % and more"),
        (10_000, "20 % and more"),
    ],
)
def test_target_areas(pixels, expected):
    assert label_of("target_area", np.arange(10_000).reshape(50, 200) < pixels) == expected
    assert label_of("target", np.arange(10_000).reshape(50, 200) < pixels) == ("present" if pixels else "empty")


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (1, "under 512 px"),
        (511, "under 512 px"),
        (512, "512 to 1,023 px"),
        (1023, "512 to 1,023 px"),
        (1024, "1,024 to 2,047 px"),
        (2047, "1,024 to 2,047 px"),
        (2048, "2,048 px and more"),
        (7617, "2,048 px and more"),
    ],
)
def test_image_sizes_go_by_the_longer_side(side, expected):
    for shape in ((side, 1), (1, side)):
        assert label_of("image_size", np.zeros(shape)) == expected


@pytest.mark.parametrize(
    ("metres", "expected"),
    [
        (None, "unknown"),
        (0.99, "under 1 m"),
        (1.0, "1 to 5 m"),
        (4.99, "1 to 5 m"),
        (5.0, "5 to 15 m"),
        (14.99, "5 to 15 m"),
        (15.0, "15 m and more"),
        (153.0, "15 m and more"),
    ],
)
def test_ground_resolutions(metres, expected):
    assert label_of("gsd", np.zeros((2, 2)), ground_resolution=metres) == expected


def test_groups_below_twenty_questions_are_marked():
    full = np.ones((2, 2), bool)
    truth = References(
        [Reference(f"s{k:02d}", encode_mask(full), category="lake" if k < 20 else "dam") for k in range(39)], "truth"
    )
    answers = {f"s{k:02d}": full if k % 2 else None for k in range(39)}
    table = evaluate(answers, truth, "native", resamples=0).breakdowns["category"]
    # Odd numbers are answered exactly: 10 of the lakes 0 to 19, 9 of the dams 20 to 38.
    assert table["n"].to_dict() == {"dam": 19, "lake": 20}
    assert table["few"].to_dict() == {"dam": True, "lake": False}
    assert table["gIoU"].to_dict() == {"dam": 9 / 19, "lake": 10 / 20}
    assert table["T-acc"].to_dict() == table["gIoU"].to_dict()


@pytest.mark.parametrize(("protocol", "defined"), [("native", True), ("geo-r1", False), ("lisa", False)])
def test_groups_have_precisions_only_under_protocols_that_define_them(protocol, defined):
    mask = np.ones((4, 4), bool)
    result = evaluate({"a": mask, "b": mask}, {"a": mask, "b": ~mask}, protocol, resamples=0)
    (rows,) = [rows for name, rows in score_groups(result.scored, result.references).items() if name == "target"]
    assert [(row["group"], "Pr@0.5" in row) for row in rows] == [("empty", defined), ("present", defined)]
    assert [row["gIoU"] for row in rows] == pytest.approx([0, 1], abs=1e-5)


def test_groups_are_in_the_order_of_their_sizes_and_one_group_alone_is_not_shown():
    sizes = (30, 2000, 0, 700, 100)  # of 10,000 pixels
    pixels = np.arange(10_000).reshape(100, 100)
    masks = {name: pixels < size for name, size in zip("abcde", sizes, strict=True)}
    table = evaluate(masks, masks, "native", resamples=0).breakdowns
    assert table["target_area"].index.tolist() == ["empty", "under 1 %", "1 to 5 %", "5 to 20 %", "20 % and more"]
    assert table["target"].index.tolist() == ["empty", "present"]
    assert set(table) == {"target_area", "target"}
    assert "Boundary IoU" not in table["target"]


def test_questions_are_grouped_by_their_number_and_other_groups_are_in_alphabetical_order():
    full = encode_mask(np.ones((2, 2), bool))
    truth = References(
        [Reference(name, full, question_count=2, category=kind) for name, kind in (("a", "sea"), ("b", "dam"))], "t"
    )
    answers = [
        Prediction(name, full if index else None, question_index=index) for name in ("a", "b") for index in (0, 1)
    ]
    table = evaluate(answers, truth, "geo-r1", resamples=0).breakdowns
    assert table["question_index"]["gIoU"].to_dict() == {"0": 0, "1": 1}
    assert table["category"].index.tolist() == ["dam", "sea"]


def test_groups_have_their_own_boundary_iou_where_it_was_computed():
    # Bands are one pixel wide. The answer for "near" is one column off: 18 shared of 54, as in test_score_values.py.
    # The answer for "large" is exact.
    near, large = np.zeros((30, 40), bool), np.zeros((30, 40), bool)
    near[10:20, 10:20] = True
    large[:25, :30] = True
    truth = {"near": near, "large": large}
    answers = {"near": np.roll(near, 1, axis=1), "large": large}
    table = evaluate(answers, truth, "native", resamples=0, boundary=True).breakdowns["target_area"]
    assert table["Boundary IoU"].to_dict() == {"5 to 20 %": 18 / 54, "20 % and more": 1}


def two_strata():
    """40 targets of which every fourth is half right, and 20 empties of which 15 are found, in words of training.

    In other words, 20 targets are all missed, and 20 empties are all found.
    """
    whole = np.arange(64).reshape(8, 8) < 32
    half, nothing = whole & (np.arange(8) < 4), whole & False
    truth, answers = [], []
    cases = [("nothing", whole, [half if k % 4 == 0 else whole for k in range(40)])]
    cases += [("nothing", nothing, [nothing] * 15 + [half] * 5)]
    cases += [("wording", whole, [nothing] * 20), ("wording", nothing, [nothing] * 20)]
    for unseen, mask, predicted in cases:
        for prediction in predicted:
            name = f"s{len(truth):03d}"
            truth.append(Reference(name, encode_mask(mask), unseen=unseen))
            answers.append(Prediction(name, encode_mask(prediction) if prediction.any() else None))
    return evaluate(answers, References(truth, "truth"), "native", resamples=0)


def test_strata_have_scores_and_intervals_of_their_own():
    result = two_strata()
    seen, other = stratify(result.scored, result.references, "unseen", resamples=2_000)
    assert [(stratum.group, stratum.n) for stratum in (seen, other)] == [("nothing", 60), ("wording", 40)]
    # By hand: 30 of 40 targets with IoU 1 and 10 with 1/2, 15 of 20 empties with 1; then 0 of 20 and 20 of 20.
    assert seen.scores["gIoU"] == pytest.approx((30 + 10 / 2 + 15) / 60)
    assert (seen.scores["N-acc"], seen.scores["T-acc"]) == (15 / 20, 1.0)
    assert [other.scores[name] for name in ("gIoU", "N-acc", "T-acc")] == [0.5, 1.0, 0.0]
    # scipy: binomtest(15, 20).proportion_ci(method="wilson"), and binomtest(0, 20) the same way.
    assert [seen.intervals["N-acc"].low, seen.intervals["N-acc"].high] == pytest.approx([0.531299, 0.888138], abs=1e-6)
    assert [other.intervals["T-acc"].low, other.intervals["T-acc"].high] == pytest.approx([0, 0.161125], abs=1e-6)
    # Twice 1.96 standard errors of the mean of 60 IoUs.
    ious = np.array([1.0] * 45 + [0.5] * 10 + [0.0] * 5)
    expected = 2 * 1.96 * ious.std() / np.sqrt(60)
    assert seen.intervals["gIoU"].width == pytest.approx(expected, rel=0.1)


def test_strata_without_resamples_have_no_intervals_and_unknown_ones_are_refused():
    result = two_strata()
    assert [stratum.intervals for stratum in stratify(result.scored, result.references, "unseen", 0)] == [{}, {}]
    assert stratify(result.scored, result.references, "category") == []  # all are in the group "unknown"
    with pytest.raises(UnknownNameError, match="did you mean 'reasoning_type'"):
        stratify(result.scored, result.references, "reasoning_typ")
