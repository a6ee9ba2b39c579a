"""The region kernel: exact pixel counts of run-length masks on any grid, without decoding a pixel.

A mask is represented by its sorted run boundaries in column-major order. On a grid that repeats row `r` `w_r` times
and column `c` `w_c` times, let `F(t)` be the number of grid pixels before linear position `t`; it never falls. Mapping
the boundaries through `F` once turns areas and overlaps into sums of differences.

Two backends hold the same loops, which release the interpreter lock and divide a batch among threads: the C extension
(`regions.h`), and numba where it was not built. tests/masks compares both with decoded pixels.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from types import ModuleType

import numpy as np

from earthreason.errors import EarthReasonError, RLEError
from earthreason.types import RLE

BACKENDS = {"c": "_regions", "numba": "kernel_numba"}
VARIABLE = "EARTHREASON_KERNEL"
"""Environment variable that names a backend, for tests and comparisons."""
_FAULTS = {
    -1: "contains a character that is not COCO RLE (ASCII 48 to 111)",
    -2: "ends in the middle of a number",
    -3: "contains a negative or over-long run",
    -4: "runs past the end of the mask",
    -5: "falls short of the mask",
    -6: "contains a number that is not in its shortest form, which pycocotools may read otherwise; encode it again",
}


def describe_fault(code: int, height: int, width: int) -> str:
    """Return the message for a negative fault code of the kernel."""
    return f"the RLE of size {height}x{width} {_FAULTS[code]}"


def backend() -> ModuleType:
    """Return the compiled loops: those of the variable EARTHREASON_KERNEL, else C where it was built, else numba.

    Numba is imported only if it is needed, because that takes most of a second.

    Raises:
        EarthReasonError: the variable names no backend, or one that cannot be imported.
    """
    return _load(os.environ.get(VARIABLE))


@cache
def _load(chosen: str | None) -> ModuleType:
    for name in [chosen] if chosen else list(BACKENDS):
        try:
            return import_module(f"earthreason.masks.{BACKENDS[name]}")
        except (ImportError, KeyError) as error:
            reason = error
    raise EarthReasonError(
        f"no region kernel can be imported ({reason}); unset {VARIABLE}, or set it to {' or '.join(BACKENDS)} "
        "(c needs a build with a compiler)"
    )


def count_batch(
    predictions: Sequence[RLE | None],
    truth_of: np.ndarray,
    truth: tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray],
    out: tuple[np.ndarray, ...],
    threads: int = 1,
) -> None:
    """Compare each prediction with its truth.

    Args:
        predictions: n masks, not yet validated; None is "no target".
        truth_of: (n,) int64 index of the truth of each prediction.
        truth: `TruthTable.packed`.
        out: arrays of `PairCounts`, zeroed, which are filled.
        threads: most threads to use; the results do not depend on it.
    """
    backend().count_batch(threads, predictions, truth[0], truth_of, *truth[1:], *out)


def canvas_runs(
    boundaries: np.ndarray,
    height: int,
    row_prefix: np.ndarray,
    column_weights: np.ndarray,
    corner: tuple[int, int],
    canvas_height: int,
) -> np.ndarray:
    """Return start and end of every foreground run of a mask on a canvas, in linear order.

    Args:
        boundaries: `foreground_boundaries` of the mask.
        height: height of the mask in pixels.
        row_prefix: (height + 1,) int64 prefix sums of the row weights.
        column_weights: (width,) int64 number of times that each column appears.
        corner: padding rows above and columns left of the mask.
        canvas_height: rows of the canvas.
    """
    runs = np.empty(2 * boundaries.size + 64, np.int64)
    while True:
        rows = np.ascontiguousarray(row_prefix), np.ascontiguousarray(column_weights)
        needed = backend().canvas_runs(boundaries, height, *rows, *corner, canvas_height, runs)
        if needed <= runs.size:
            return runs[:needed]
        runs = np.empty(needed, np.int64)


def prefix_sums(weights: np.ndarray) -> np.ndarray:
    """Return the (n + 1,) sums of the (n,) weights before each index."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(weights)])


def foreground_boundaries(rle: RLE) -> np.ndarray:
    """Validate `rle` and return its foreground runs.

    Memory is bounded by the length of the string, never by the stated size.

    Returns:
        (2k,) int64 in ascending order: start 0, end 0, start 1, ..., as positions in column-major order.

    Raises:
        RLEError: the counts are not a mask of `rle["size"]`.
    """
    height, width = rle["size"]
    text = rle["counts"]
    if not text.isascii():
        raise RLEError(describe_fault(-1, height, width))
    boundaries = np.empty(len(text), np.int64)
    n = backend().decode_runs(text, height * width, boundaries)
    if n < 0:
        raise RLEError(describe_fault(n, height, width))
    return boundaries[: n // 2 * 2]  # the first run is background, so boundaries 0-1, 2-3, ... enclose foreground


def area(boundaries: np.ndarray) -> int:
    """Return the number of foreground pixels of a mask given by `foreground_boundaries`."""
    return int((boundaries[1::2] - boundaries[::2]).sum())
