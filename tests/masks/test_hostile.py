"""Texts from strangers give the same faults in both backends, and never a wrong or lasting effect."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthreason.errors import EarthReasonError
from earthreason.masks import kernel
from earthreason.masks.grids import Grid, place_on_grid
from earthreason.masks.pairs import TruthTable, count_pairs
from earthreason.masks.rle import decode_rle, encode_mask, resample_rle

GRIDS = [Grid("native"), Grid("letterbox", 64), Grid("stretch", 53)]


def noise(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width)) < 0.4


def replaced(text: str, at: int, characters: str) -> str:
    at %= len(text)
    return text[:at] + characters + text[at + len(characters) :]


damages = st.one_of(st.text(max_size=3), st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=9))


def counted(backend, prediction, truth, monkeypatch_context):
    with monkeypatch_context as patch:
        patch.setenv(kernel.VARIABLE, backend)
        found = count_pairs([prediction, None], [0, 0], TruthTable([truth], GRIDS))
    valid = not found.faults.any() and not found.truth_faults.any()
    compared = ("counts", "boxes", "drawn", "truth_drawn") if valid else ()
    return {name: getattr(found, name).tolist() for name in (*compared, "faults", "truth_faults")}


@settings(max_examples=150)
@given(st.integers(0, 9), st.integers(1, 90), st.integers(1, 90), st.integers(0, 10_000), damages, st.booleans())
def test_backends_agree_on_damaged_texts(seed, height, width, at, damage, in_truth):
    pytest.importorskip("earthreason.masks._regions")
    masks = [encode_mask(noise(seed + n, height, width)) for n in range(2)]
    masks[in_truth]["counts"] = replaced(masks[in_truth]["counts"], at, damage)
    results = [counted(name, *masks, pytest.MonkeyPatch.context()) for name in kernel.BACKENDS]
    assert results[0] == results[1]


@pytest.mark.parametrize("at", [0, 5, 70, 140, 400, -40, -1])
@pytest.mark.parametrize(
    ("damage", "fault"), [("\x00", -1), ("/", -1), ("p", -1), ("é", -1), ("\udc80", -1), ("ooooooooooooO", -3)]
)
def test_a_fault_is_found_wherever_it_is(at, damage, fault):
    # 16 x 90 alternating pixels: 1,440 numbers of one character, so long texts are read in blocks.
    mask = np.zeros((16, 90), bool)
    mask[::2] = True
    rle = encode_mask(mask)
    broken = {"size": rle["size"], "counts": rle["counts"][: at % 1440] + damage + rle["counts"][at % 1440 :]}
    found = count_pairs([rle, broken, rle], [0, 0, 0], TruthTable([rle], GRIDS))
    assert found.faults.tolist() == [0, fault, 0]
    assert found.counts[[0, 2], 0].tolist() == [[720, 720, 720]] * 2
    broken_truth = count_pairs([rle], [0], TruthTable([broken], GRIDS))
    assert broken_truth.truth_faults.tolist() == [fault]


def test_a_text_cut_anywhere_is_short_or_unterminated():
    rle = encode_mask(noise(4, 200, 30))
    cuts = [{"size": rle["size"], "counts": rle["counts"][:length]} for length in range(len(rle["counts"]))]
    found = count_pairs(cuts, [0] * len(cuts), TruthTable([rle], GRIDS))
    assert set(found.faults.tolist()) <= {-2, -5}
    assert (found.faults != 0).all()


@pytest.mark.parametrize("grid", GRIDS)
def test_touching_runs_with_empty_ones_between_are_placed_like_their_pixels(grid):
    # Seven runs of one pixel, with background of no pixels between: 0 1 0 1 ..., then the rest of a 10 x 3 mask.
    runs = [0, 1] * 7 + [23]
    counts = "".join(chr(48 + ((run - (runs[k - 2] if k > 2 else 0)) & 31)) for k, run in enumerate(runs[:-1]))
    counts += chr(48 + 32 + (23 & 31)) + "0"
    rle = {"size": [10, 3], "counts": counts}
    mask = np.zeros((3, 10), bool)
    mask.ravel()[:7] = True
    mask = mask.T
    assert (decode_rle(resample_rle(rle, grid)) == place_on_grid(mask, grid)).all()
    found = count_pairs([rle], [0], TruthTable([encode_mask(mask)], [grid]))
    assert found.counts[0, 0].tolist() == [place_on_grid(mask, grid).sum()] * 3
    assert found.boxes.tolist() == [[7, 7]]


@given(st.integers(0, 2**32), st.integers(1, 400), st.integers(1, 60), st.floats(0, 0.5))
def test_long_texts_are_counted_like_their_pixels(seed, height, width, share):
    rng = np.random.default_rng(seed)
    masks = [rng.random((height, width)) < share * scale for scale in (1, 0.3)]
    masks[1] ^= masks[0]
    found = count_pairs([encode_mask(masks[1])], [0], TruthTable([encode_mask(masks[0])], GRIDS))
    for g, grid in enumerate(GRIDS):
        a, b = place_on_grid(masks[1], grid), place_on_grid(masks[0], grid)
        assert found.counts[0, g].tolist() == [(a & b).sum(), a.sum(), b.sum()]


def test_an_unknown_backend_is_named_with_the_known_ones(monkeypatch):
    monkeypatch.setenv(kernel.VARIABLE, "fortran")
    with pytest.raises(EarthReasonError, match="c or numba"):
        kernel.backend()


def test_the_fallback_is_used_where_the_extension_is_missing(monkeypatch):
    monkeypatch.delenv(kernel.VARIABLE, raising=False)
    monkeypatch.setitem(__import__("sys").modules, "earthreason.masks._regions", None)
    kernel._load.cache_clear()
    try:
        assert kernel.backend().__name__ == "earthreason.masks.kernel_numba"
    finally:
        kernel._load.cache_clear()


def test_a_truth_that_the_table_lacks_is_an_error_and_no_read_beyond_it():
    table = TruthTable([encode_mask(noise(0, 4, 5))] * 2, GRIDS)
    with pytest.raises(IndexError):
        count_pairs([None], [2], table)
