"""Emptiness is said by people, and separate targets stay apart: worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from annotation_tools.quality.adjudicate import METHODS, Rules, adjudicate
from annotation_tools.quality.agreement import measure_quality
from annotation_tools.quality.instances import count_targets
from earthreason.masks.rle import decode_rle, encode_mask

from ..conftest import box, drawn

SIZE = (20, 30)
LEFT, LEFT_WIDER = box(SIZE, 2, 2, 12, 12), box(SIZE, 2, 2, 12, 13)  # 100 and 110 pixels, IoU 100 / 110
RIGHT, BELOW = box(SIZE, 2, 20, 12, 28), box(SIZE, 15, 2, 19, 10)
NONE = np.zeros(SIZE, bool)


def apart(who, *targets):
    """A drawing with separate targets."""
    whole = np.logical_or.reduce(targets) if targets else NONE
    return replace(drawn("a", whole, who), targets=[encode_mask(target) for target in targets])


def settle(*drawings, **rules):
    (entry,) = adjudicate({"a": list(drawings)}, Rules(**rules))
    return entry


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("min_iou", [0, 0.7])
@pytest.mark.parametrize("masks", [(LEFT, RIGHT), (LEFT, RIGHT, BELOW), (LEFT, RIGHT, BELOW, NONE)])
def test_disjoint_targets_never_become_no_target(method, min_iou, masks):
    entry = settle(*(drawn("a", mask, f"p{n}") for n, mask in enumerate(masks)), method=method, min_iou=min_iou)
    assert not (entry.settled and entry.drawing.is_empty)
    if method == "majority":
        assert not entry.settled


def test_an_empty_majority_is_told_when_no_iou_is_asked_for():
    entry = settle(drawn("a", LEFT, "anna"), drawn("a", RIGHT, "ben"), min_iou=0)
    assert (entry.settled, entry.reason) == (False, "people marked pixels, but no pixel is marked by most of them")


def test_no_target_is_settled_where_most_people_say_so():
    entry = settle(drawn("a", NONE, "anna"), drawn("a", NONE, "ben"), drawn("a", LEFT, "cleo"), min_iou=0)
    assert (entry.settled, entry.drawing.is_empty) == (True, True)


def test_targets_of_two_people_are_matched_and_each_is_their_intersection():
    entry = settle(apart("anna", LEFT, RIGHT), apart("ben", RIGHT, LEFT_WIDER))
    assert entry.settled
    assert [decode_rle(target).sum() for target in entry.drawing.targets] == [100, 80]
    assert np.array_equal(entry.drawing.mask, LEFT | RIGHT)


def test_a_target_that_only_one_of_two_marked_waits_and_the_reason_counts_it():
    entry = settle(apart("anna", LEFT, RIGHT, BELOW), apart("ben", LEFT))
    assert (entry.settled, entry.reason) == (False, "2 of 3 targets disputed: 2 marked by half of the people")


def test_matched_targets_that_overlap_too_little_wait_though_their_union_agrees():
    # LEFT as one target, and in two parts: the unions are the same to the pixel.
    upper, lower = box(SIZE, 2, 2, 6, 12), box(SIZE, 6, 2, 12, 12)
    entry = settle(apart("anna", LEFT), apart("ben", lower, upper))
    assert entry.iou == 1
    assert not entry.settled
    # LEFT and lower overlap by 60 of 100 pixels.
    assert entry.reason == "2 of 2 targets disputed: 1 marked by half of the people, 1 with an IoU below 0.7"


def test_three_people_keep_what_two_marked_and_leave_out_what_one_did():
    entry = settle(apart("anna", LEFT, RIGHT), apart("ben", LEFT, BELOW), apart("cleo", RIGHT, LEFT_WIDER))
    assert (entry.settled, entry.reason) == (True, "")
    assert np.array_equal(entry.drawing.mask, LEFT | RIGHT)
    assert len(entry.drawing.targets) == 2


@pytest.mark.parametrize("min_iou", [0, 0.7])
def test_targets_that_each_only_one_of_three_marked_never_become_no_target(min_iou):
    entry = settle(apart("anna", LEFT), apart("ben", RIGHT), apart("cleo", BELOW), min_iou=min_iou)
    assert (entry.settled, entry.reason) == (False, "of 3 targets none is marked by most of the people")


def test_a_whole_mask_is_one_target_beside_separate_ones():
    entry = settle(apart("anna", LEFT), drawn("a", LEFT, "ben"))
    assert entry.settled
    assert [decode_rle(target).sum() for target in entry.drawing.targets] == [100]


@pytest.mark.parametrize("method", METHODS)
def test_targets_stay_apart_where_they_touch(method):
    touching = box(SIZE, 2, 12, 12, 18)
    entry = settle(apart("anna", LEFT, touching), apart("ben", LEFT, touching), method=method)
    assert entry.settled
    assert [decode_rle(target).sum() for target in entry.drawing.targets] == [100, 60]


def test_an_adjudicator_and_a_single_person_keep_their_targets():
    alone = settle(apart("anna", LEFT, RIGHT))
    final = settle(apart("anna", LEFT, RIGHT), apart("ben", LEFT), adjudicators=("anna",))
    assert len(alone.drawing.targets) == len(final.drawing.targets) == 2


def test_panoptic_quality_by_hand():
    # Same: LEFT with IoU 100 / 110. The strip shares 16 pixels with BELOW, of 32 + 24 - 16: IoU 0.4, not above 0.5.
    # F1 = 1 / (1 + (2 + 1) / 2) = 0.4, panoptic quality = (100 / 110) / 2.5.
    strip = box(SIZE, 17, 2, 20, 10)
    found = count_targets(
        [encode_mask(mask) for mask in (LEFT, RIGHT, BELOW)], [encode_mask(mask) for mask in (strip, LEFT_WIDER)]
    )
    assert (found.same, found.only_first, found.only_second) == (1, 2, 1)
    assert found.f1 == pytest.approx(0.4)
    assert found.panoptic == pytest.approx(100 / 110 / 2.5)


def test_two_who_mark_nothing_have_no_quality_of_targets():
    assert count_targets([], []).panoptic is None
    assert count_targets([], [encode_mask(LEFT)]).f1 == 0


def test_agreement_pools_the_targets_of_all_pairs(workspace):
    workspace.add_drawings([replace(apart("anna", LEFT, RIGHT), task="a"), replace(apart("ben", LEFT), task="a")])
    workspace.add_drawings([replace(apart("anna", BELOW), task="b"), replace(apart("ben", BELOW), task="b")])
    workspace.add_drawings([drawn("c", LEFT, "anna"), drawn("c", NONE, "ben")])  # no separate targets
    targets = measure_quality(workspace).targets
    # 2 same, 1 only anna's: 2 / 2.5.
    assert (targets.tasks, targets.same, targets.different) == (2, 2, 1)
    assert targets.f1 == targets.panoptic == pytest.approx(0.8)
