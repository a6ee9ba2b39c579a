"""Cutting masks to their joint box changes no result: compared with the plain definitions on whole masks."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import binary_erosion, distance_transform_edt

from annotation_tools.quality import masks as module
from annotation_tools.quality.adjudicate import Rules, adjudicate, staple
from annotation_tools.quality.crops import crop_masks, whole_masks
from annotation_tools.quality.masks import compare_drawings
from earthreason.errors import RLEError
from earthreason.masks.rle import decode_rle, encode_mask

from ..conftest import box, drawn

PEOPLE = ("anna", "ben", "cleo")


def plain_iou(one, other):
    union = np.logical_or(one, other).sum()
    return 1.0 if union == 0 else np.logical_and(one, other).sum() / union


def plain_distances(one, other):
    """Distances between outlines on the whole image, by scipy alone."""
    if not one.any() or not other.any():
        return None
    outlines = [mask & ~binary_erosion(mask) for mask in (one, other)]
    maps = [distance_transform_edt(~outline) for outline in outlines]
    return np.concatenate([maps[1][outlines[0]], maps[0][outlines[1]]])


def plain_vote(masks):
    return np.stack(masks).sum(axis=0) > len(masks) / 2


@st.composite
def three_masks(draw):
    """Three masks of one image, sparse or dense, at its border or inside, some of them empty."""
    shape = draw(array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))
    masks = []
    for _ in range(3):
        kind = draw(st.sampled_from(["noise", "rectangle", "empty", "full"]))
        mask = np.zeros(shape, bool)
        if kind == "noise":
            mask = draw(arrays(bool, shape))
        elif kind == "rectangle":
            top, left = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
            mask[top : draw(st.integers(top, shape[0])), left : draw(st.integers(left, shape[1]))] = True
        elif kind == "full":
            mask[:] = True
        masks.append(mask)
    return masks


def drawings_of(masks):
    return {"a": [drawn("a", mask, who) for who, mask in zip(PEOPLE, masks, strict=True)]}


@pytest.mark.parametrize("sparse", [0, 10**9], ids=["search tree", "distance transform"])
@given(three_masks())
@settings(max_examples=150, deadline=None)
def test_agreement_of_crops_is_that_of_whole_masks_to_the_bit(sparse, masks):
    before, module._SPARSE = module._SPARSE, sparse
    try:
        pairs = compare_drawings(drawings_of(masks))
    finally:
        module._SPARSE = before
    for pair, (one, other) in zip(pairs, combinations(masks, 2), strict=True):
        distances = plain_distances(one, other)
        assert pair.iou == plain_iou(one, other)
        assert pair.distance == (None if distances is None else distances.mean())
        assert pair.hausdorff95 == (None if distances is None else np.percentile(distances, 95))
        assert pair.same_emptiness == (one.any() == other.any())


@given(three_masks())
@settings(max_examples=150, deadline=None)
def test_adjudication_of_crops_merges_and_settles_as_on_whole_masks(masks):
    (entry,) = adjudicate(drawings_of(masks), Rules())
    marked = [mask for mask in masks if mask.any()]
    camp = marked if len(marked) > 1 else [mask for mask in masks if not mask.any()]
    merged = plain_vote(camp)
    near = sum(plain_iou(mask, merged) >= 0.7 for mask in camp)
    agree = plain_iou(*camp) >= 0.7 if len(camp) == 2 else 2 * near > len(camp)
    assert np.array_equal(entry.drawing.mask, merged)
    assert entry.settled == agree
    assert entry.iou == min(plain_iou(one, other) for one, other in combinations(masks, 2))


@given(three_masks())
@settings(max_examples=100, deadline=None)
def test_crops_are_the_masks_and_encode_back(masks):
    rles = [encode_mask(mask) for mask in masks]
    crops = crop_masks(rles)
    assert [crops.encode(mask) for mask in crops.masks] == rles
    union = np.logical_or.reduce(masks)
    assert crops.masks[0].shape == _box_of(union)
    assert all(np.array_equal(one, other) for one, other in zip(whole_masks(rles).masks, masks, strict=True))


def _box_of(union):
    if not union.any():
        return 1, 1
    rows, columns = np.flatnonzero(union.any(axis=1)), np.flatnonzero(union.any(axis=0))
    return rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


def test_masks_of_two_sizes_are_refused():
    with pytest.raises(RLEError, match="have one size"):
        crop_masks([encode_mask(np.ones((2, 3))), encode_mask(np.ones((3, 2)))])


def test_no_mask_is_decoded_twice(monkeypatch):
    """Each of 3 masks once, though it is in 2 of 3 pairs."""
    read = []
    monkeypatch.setattr(
        "annotation_tools.quality.crops.foreground_boundaries",
        lambda rle, real=module.crop_masks.__globals__["foreground_boundaries"]: read.append(rle) or real(rle),
    )
    monkeypatch.setattr("annotation_tools.drawing.decode_rle", lambda rle: pytest.fail("decoded as a whole"))
    size = 20, 30
    several = drawings_of([box(size, 2, 2, 9, 9), box(size, 3, 2, 9, 9), box(size, 2, 3, 9, 9)])
    compare_drawings(several)
    assert len(read) == 3
    adjudicate(several, Rules())
    assert len(read) == 6


def test_staple_sees_the_background_that_a_crop_would_hide():
    # STAPLE's estimates depend on how much background there is, so its masks are not cut.
    size = 60, 60
    masks = [box(size, 20, 20, 30, 30), box(size, 20, 20, 30, 34), box(size, 18, 20, 30, 30)]
    (entry,) = adjudicate(drawings_of(masks), Rules("staple"))
    assert np.array_equal(decode_rle(entry.drawing.segmentation), staple(masks))
