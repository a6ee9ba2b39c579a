"""The region kernel equals decoded pixels on every grid that a protocol uses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthreason.masks.grids import Grid, place_on_grid
from earthreason.masks.pairs import TruthTable, count_pairs
from earthreason.masks.rle import encode_mask
from earthreason.metrics.protocols import PROTOCOLS

GRIDS = list(dict.fromkeys(protocol.grid for protocol in PROTOCOLS.values()))
SMALL = [Grid("native"), Grid("letterbox", 64), Grid("letterbox", 37), Grid("stretch", 53)]


def draw_mask(rng: np.random.Generator, kind: str, height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    if kind == "full":
        mask[:] = True
    elif kind == "pixel":
        mask[rng.integers(height), rng.integers(width)] = True
    elif kind == "row":
        mask[rng.integers(height)] = True
    elif kind == "column":
        mask[:, rng.integers(width)] = True
    elif kind == "corners":
        mask[0, 0] = mask[-1, -1] = mask[0, -1] = mask[-1, 0] = True
    elif kind == "noise":
        mask[:] = rng.random((height, width)) < rng.random()
    elif kind == "blocks":
        for _ in range(4):
            top, left = rng.integers(height), rng.integers(width)
            mask[top : top + rng.integers(1, height + 1), left : left + rng.integers(1, width + 1)] ^= True
    return mask


KINDS = ("empty", "full", "pixel", "row", "column", "corners", "noise", "blocks")
kinds, sides = st.sampled_from(KINDS), st.integers(1, 300)
masks = st.tuples(kinds, kinds, sides, sides, st.integers())


def decoded_counts(prediction, truth, grid):
    a, b = place_on_grid(prediction, grid), place_on_grid(truth, grid)
    return [int((a & b).sum()), int(a.sum()), int(b.sum())]


@given(masks)
def test_counts_equal_decoded_pixels_on_small_grids(case):
    kind_a, kind_b, height, width, seed = case
    rng = np.random.default_rng(abs(seed))
    prediction, truth = draw_mask(rng, kind_a, height, width), draw_mask(rng, kind_b, height, width)
    found = count_pairs([encode_mask(prediction)], [0], TruthTable([encode_mask(truth)], SMALL))
    assert found.faults.tolist() == [0]
    assert found.counts[0].tolist() == [decoded_counts(prediction, truth, grid) for grid in SMALL]
    assert found.drawn.tolist() == [bool(prediction.any())]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (103, 103), (257, 190), (64, 300)])
def test_counts_equal_decoded_pixels_on_every_protocol_grid(kind, shape):
    rng = np.random.default_rng(5)
    prediction, truth = draw_mask(rng, kind, *shape), draw_mask(rng, "blocks", *shape)
    found = count_pairs([encode_mask(prediction)], [0], TruthTable([encode_mask(truth)], GRIDS))
    assert found.counts[0].tolist() == [decoded_counts(prediction, truth, grid) for grid in GRIDS]


@given(masks)
def test_boxes_equal_those_of_decoded_pixels(case):
    kind_a, kind_b, height, width, seed = case
    rng = np.random.default_rng(abs(seed))
    a, b = draw_mask(rng, kind_a, height, width), draw_mask(rng, kind_b, height, width)
    found = count_pairs([encode_mask(a)], [0], TruthTable([encode_mask(b)], [Grid("native")]))
    box_a, box_b = np.zeros_like(a), np.zeros_like(b)
    for mask, box in ((a, box_a), (b, box_b)):
        rows, columns = np.nonzero(mask)
        if rows.size:
            box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    assert found.boxes[0].tolist() == [int((box_a & box_b).sum()), int((box_a | box_b).sum())]


def test_no_target_has_no_area_and_keeps_the_truth():
    truth = np.eye(9, dtype=bool)
    found = count_pairs([None], [0], TruthTable([encode_mask(truth)], [Grid("native")]))
    assert found.counts[0, 0].tolist() == [0, 0, 9]
    assert not found.drawn[0]


def test_one_broken_mask_leaves_the_others_right():
    mask = encode_mask(np.eye(5, dtype=bool))
    broken = {"size": [5, 5], "counts": "0"}
    found = count_pairs([mask, broken, mask], [0, 0, 0], TruthTable([mask], [Grid("native")]))
    assert (found.faults != 0).tolist() == [False, True, False]
    assert found.counts[[0, 2], 0, 0].tolist() == [5, 5]


@pytest.mark.parametrize("threads", [2, 3, 64, 100_000])
def test_any_number_of_threads_counts_the_decoded_pixels(threads):
    rng = np.random.default_rng(3)
    truths = [rng.random((31, 17)) < 0.3 for _ in range(40)]
    answers = [None if k % 7 == 0 else rng.random((31, 17)) < 0.5 for k in range(300)]
    truth_of = [k * 40 // 300 for k in range(300)]  # several questions about one image
    table = TruthTable([encode_mask(mask) for mask in truths], SMALL)
    rles = [None if mask is None else encode_mask(mask) for mask in answers]
    rles[171] = {"size": [31, 17], "counts": "0"}
    found = count_pairs(rles, truth_of, table, threads)
    assert np.flatnonzero(found.faults).tolist() == [171]
    for k in set(range(300)) - {171}:
        answer = np.zeros((31, 17), bool) if answers[k] is None else answers[k]
        assert found.counts[k].tolist() == [decoded_counts(answer, truths[truth_of[k]], grid) for grid in SMALL]


def test_no_pairs_need_no_threads():
    assert count_pairs([], [], TruthTable([], SMALL), threads=4).counts.shape == (0, len(SMALL), 3)


GOLDEN_GRIDS = {
    "native": Grid("native"),
    "canvas": Grid("letterbox", 1024),
    "stretch_480": Grid("stretch", 480),
    "stretch_840": Grid("stretch", 840),
}


@pytest.mark.parametrize("name", GOLDEN_GRIDS)
def test_golden_counts_agree(golden_pairs, name):
    pairs = golden_pairs["pairs"]
    table = TruthTable([pair["ground_truth"] for pair in pairs], [GOLDEN_GRIDS[name]])
    found = count_pairs([pair["prediction"] for pair in pairs], range(len(pairs)), table).counts[:, 0]
    shared, predicted, truth = found.T
    assert shared.tolist() == [pair[name]["intersection"] for pair in pairs]
    assert (predicted + truth - shared).tolist() == [pair[name]["union"] for pair in pairs]
    if name.startswith("stretch"):
        assert predicted.tolist() == [pair[name]["prediction"] for pair in pairs]
        assert truth.tolist() == [pair[name]["truth"] for pair in pairs]


def test_masks_of_different_sizes_are_not_compared_on_a_grid():
    table = TruthTable([encode_mask(np.ones((20, 30), bool))], SMALL)
    for shape in ((30, 20), (20, 31), (200, 300)):
        with pytest.raises(ValueError, match="different sizes"):
            count_pairs([encode_mask(np.ones(shape, bool))], [0], table)
    assert count_pairs([None], [0], table).counts[0, :, 1].tolist() == [0] * len(SMALL)
