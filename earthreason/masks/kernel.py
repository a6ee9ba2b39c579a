"""The region kernel: exact pixel counts of two run-length masks on any grid, without decoding a pixel.

A mask is its sorted run boundaries in column-major order. On a grid that repeats row `r` `w_r` times and column `c`
`w_c` times, `F(t)`, the number of grid pixels before linear position `t`, is a prefix sum of the weights and never
falls. So the boundaries can be mapped through `F` once, and both areas and overlaps are sums of differences of mapped
boundaries. Checked against decoded pixels in tests/masks/test_kernel.py.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from earthreason.errors import RLEError
from earthreason.masks.grids import Grid, grid_weights
from earthreason.types import RLE

_UNWEIGHTED = np.zeros(0, np.int64)

_FAULTS = {
    -1: "holds a character that is not COCO RLE (ASCII 48 to 111)",
    -2: "ends in the middle of a number",
    -3: "holds a negative or over-long run",
    -4: "runs past the end of the mask",
    -5: "falls short of the mask",
}


@njit(cache=True, nogil=True)
def _map_boundaries(
    counts: np.ndarray,
    height: int,
    width: int,
    row_weights: np.ndarray,
    column_weights: np.ndarray,
    mapped: np.ndarray,
) -> int:
    """Fill `mapped` with F(boundary) of every run; return how many, or a negative fault."""
    total = height * width
    weighted = row_weights.size > 0
    rows_on_grid = row_weights.sum()
    # State of the walk along columns, so that no boundary costs a division.
    column, column_start, before_column = 0, 0, 0
    rows_before = np.zeros(height + 1, np.int64)
    if weighted:
        for row in range(height):
            rows_before[row + 1] = rows_before[row] + row_weights[row]
    n, position, i = 0, 0, 0
    previous, before_previous = 0, 0  # the two runs before this one: COCO stores differences to the run two back
    while i < counts.size:
        value, shift, more = 0, 0, True
        while more:
            if i >= counts.size:
                return -2
            digit = int(counts[i]) - 48
            if digit < 0 or digit > 63:
                return -1
            if shift > 40:
                return -3
            value |= (digit & 31) << shift
            more = (digit & 32) != 0
            shift += 5
            i += 1
            if not more and digit & 16:
                value |= -1 << shift
        if n > 2:
            value += before_previous
        if value < 0:
            return -3
        before_previous, previous = previous, value
        position += value
        if position > total:
            return -4
        if weighted:
            while position - column_start >= height and column < width:
                before_column += column_weights[column] * rows_on_grid
                column += 1
                column_start += height
            within = 0 if column == width else column_weights[column] * rows_before[position - column_start]
            mapped[n] = before_column + within
        else:
            mapped[n] = position
        n += 1
    return n if position == total else -5


@njit(cache=True, nogil=True)
def _overlap(a: np.ndarray, b: np.ndarray) -> int:
    """Grid pixels that lie in foreground runs of both lists of mapped boundaries."""
    total, i, j = 0, 0, 0
    while i + 1 < a.size and j + 1 < b.size:
        low = max(a[i], b[j])
        high = min(a[i + 1], b[j + 1])
        total += max(high - low, 0)
        # Branch-free: whichever run ends first is done with; on a tie both are, and either may go.
        first = a[i + 1] <= b[j + 1]
        i += 2 * first
        j += 2 * (not first)
    return total


def foreground_boundaries(rle: RLE, grid: Grid | None = None) -> np.ndarray:
    """Start and end of every foreground run of `rle`, counted in pixels of `grid` (native by default).

    Validates the encoding on the way. Memory is bounded by the length of the string, never by the size it claims.

    Returns:
        (2k,) int64, not falling: start 0, end 0, start 1, ...

    Raises:
        RLEError: the counts are not a mask of `rle["size"]`.
    """
    height, width = rle["size"]
    text = rle["counts"]
    try:
        counts = np.frombuffer(text.encode("ascii") if isinstance(text, str) else text, np.uint8)
    except UnicodeEncodeError:
        raise RLEError("the RLE holds a character that is not ASCII") from None
    if grid is None or grid.kind == "native":
        row_weights = column_weights = _UNWEIGHTED
    else:
        row_weights, column_weights = grid_weights(grid, height, width)
    mapped = np.empty(counts.size, np.int64)
    found = _map_boundaries(counts, height, width, row_weights, column_weights, mapped)
    if found < 0:
        raise RLEError(f"the RLE of size {height}x{width} {_FAULTS[found]}")
    return mapped[: found // 2 * 2]  # runs alternate from background, so ends 0-1, 2-3, ... bound the foreground


def area(boundaries: np.ndarray) -> int:
    """Foreground pixels of a mask given by `foreground_boundaries`."""
    return int(boundaries[1::2].sum() - boundaries[::2].sum())


def intersection(a: np.ndarray, b: np.ndarray) -> int:
    """Foreground pixels shared by two masks given by `foreground_boundaries` on the same grid."""
    return int(_overlap(a, b))
