import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from earthreason.errors import RLEError
from earthreason.masks.grids import Grid, place_on_grid, stretch_bilinear
from earthreason.masks.rle import (
    MAX_SIDE,
    decode_rle,
    empty_rle,
    encode_mask,
    resample_rle,
    rle_area,
    stretch_rle,
    union_rles,
    validate_rle,
)

shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(shapes.flatmap(lambda shape: arrays(bool, shape)))
def test_masks_round_trip(mask):
    rle = encode_mask(mask)
    assert np.array_equal(decode_rle(rle), mask)
    assert rle_area(rle) == mask.sum()


@pytest.mark.parametrize("value", [0.5, -5.0, 2.0, float("nan"), float("inf")])
def test_floats_that_are_no_mask_are_refused(value):
    assert rle_area(encode_mask(np.eye(3))) == 3
    words = "a float mask may contain only 0 and 1, .*; threshold it first: `mask > 0` for logits, `mask > 0.5` for"
    with pytest.raises(RLEError, match=f"^{words} probabilities$"):
        encode_mask(np.full((3, 3), value, np.float32))


@given(shapes, st.text(alphabet=[chr(c) for c in range(40, 120)], max_size=30))
@settings(max_examples=3000)
def test_any_text_is_refused_or_is_what_pycocotools_decodes(shape, counts):
    rle = {"size": list(shape), "counts": counts}
    try:
        validate_rle(rle)
    except RLEError:
        return
    assert np.array_equal(decode_rle(rle), coco.decode({"size": list(shape), "counts": counts.encode()}).astype(bool))


@pytest.mark.parametrize(
    ("size", "counts", "words"),
    [
        ([2, 2], "5", "runs past"),
        ([2, 2], "3", "falls short"),
        ([2, 2], "", "falls short"),
        ([2, 2], "o", "ends in the middle"),
        ([2, 2], "2\x7f", "character"),
        ([2, 2], "2é", "character"),
        ([2, 2], "2O", "negative"),
        ([2, 2], "oooooooooooooo0", "over-long"),
        ([60_000, 60_000], "1", "falls short"),
        ([0, 4], "0", "sides from 1"),
        ([-1, 4], "4", "sides from 1"),
        ([MAX_SIDE + 1, 1], "1", "sides from 1"),
        ([2, 2, 2], "4", "sides from 1"),
    ],
)
def test_what_is_no_mask_is_told_apart(size, counts, words):
    with pytest.raises(RLEError, match=words):
        validate_rle({"size": size, "counts": counts})


@pytest.mark.parametrize("shape", [(MAX_SIDE, 1), (1, MAX_SIDE)])
def test_the_longest_side_is_a_mask(shape):
    assert rle_area(empty_rle(*shape)) == 0
    validate_rle(empty_rle(*shape))


def test_arrays_of_other_ranks_are_refused():
    with pytest.raises(RLEError, match="height, width"):
        encode_mask(np.zeros((2, 2, 3)))
    with pytest.raises(RLEError, match="height, width"):
        encode_mask(np.zeros((0, 5)))


def test_empty_mask_has_no_area():
    assert rle_area(empty_rle(7, 3)) == 0
    assert decode_rle(empty_rle(7, 3)).shape == (7, 3)
    assert decode_rle(empty_rle(7, 3)).dtype == bool


GRIDS = [Grid("native"), Grid("letterbox", 64), Grid("letterbox", 37), Grid("stretch", 53)]


@given(shapes.flatmap(lambda shape: arrays(bool, shape)), st.sampled_from(GRIDS))
def test_resampled_runs_equal_resampled_pixels(mask, grid):
    assert resample_rle(encode_mask(mask), grid) == encode_mask(place_on_grid(mask, grid))


def test_resampling_many_runs_finds_room():
    stripes = np.zeros((40, 2), bool)
    stripes[::2] = True
    grid = Grid("stretch", 200)
    assert resample_rle(encode_mask(stripes), grid) == encode_mask(place_on_grid(stripes, grid))


@given(shapes.flatmap(lambda shape: st.lists(arrays(bool, shape), min_size=1, max_size=4)))
def test_the_union_of_masks_is_numpys(masks):
    assert np.array_equal(decode_rle(union_rles([encode_mask(mask) for mask in masks])), np.any(masks, axis=0))


@given(shapes.flatmap(lambda shape: arrays(bool, shape)), st.integers(1, 60))
def test_stretching_runs_equals_stretching_pixels(mask, side):
    assert np.array_equal(decode_rle(stretch_rle(encode_mask(mask), side)), stretch_bilinear(mask, side))


@pytest.mark.parametrize(
    ("rles", "message"),
    [
        ([], "^a union needs at least one mask$"),
        ([empty_rle(2, 3), empty_rle(3, 2)], "2x3 and another 3x2"),
        ([empty_rle(2, 3), {"size": [2, 3], "counts": "1"}], "falls short"),
    ],
)
def test_a_union_of_what_does_not_fit_is_refused(rles, message):
    with pytest.raises(RLEError, match=message):
        union_rles(rles)
