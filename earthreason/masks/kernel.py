"""The region kernel: exact pixel counts of run-length masks on any grid, without decoding a pixel.

A mask is its sorted run boundaries in column-major order. On a grid that repeats row `r` `w_r` times and column `c`
`w_c` times, `F(t)`, the number of grid pixels before linear position `t`, is a prefix sum of the weights and never
falls. So boundaries are mapped through `F` once, and areas and overlaps are sums of differences of mapped boundaries.
The loops are compiled and release the interpreter lock, so threads share the work. They stay in one file because
numba's cache looks for changes in the file of the caller only. Checked against decoded pixels in
tests/masks/test_kernel.py.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import njit

from earthreason.errors import RLEError
from earthreason.masks.grids import Grid, grid_weights
from earthreason.types import RLE

_FAULTS = {
    -1: "holds a character that is not COCO RLE (ASCII 48 to 111)",
    -2: "ends in the middle of a number",
    -3: "holds a negative or over-long run",
    -4: "runs past the end of the mask",
    -5: "falls short of the mask",
}


def describe_fault(code: int, height: int, width: int) -> str:
    """Put a negative fault code of the kernel into words."""
    return f"the RLE of size {height}x{width} {_FAULTS[code]}"


@njit(cache=True, nogil=True)
def decode_runs(text: np.ndarray, start: int, stop: int, total: int, boundaries: np.ndarray) -> int:
    """Fill `boundaries` with the end of every run of `text[start:stop]`; return how many, or a negative fault."""
    n, position, i = 0, 0, start
    previous, before_previous = 0, 0  # COCO stores each run from the third on as a difference to the run two back
    while i < stop:
        digit = int(text[i]) - 48
        i += 1
        if digit < 0 or digit > 63:
            return -1
        if digit < 32:  # one character, the common case: five bits with a sign
            value = digit - ((digit & 16) << 1)
        else:
            value, shift = digit & 31, 5
            while digit & 32:
                if i >= stop:
                    return -2
                digit = int(text[i]) - 48
                i += 1
                if digit < 0 or digit > 63:
                    return -1
                if shift > 40:
                    return -3
                value |= (digit & 31) << shift
                shift += 5
            if digit & 16:
                value |= -1 << shift
        if n > 2:
            value += before_previous
        if value < 0:
            return -3
        before_previous, previous = previous, value
        position += value
        if position > total:
            return -4
        boundaries[n] = position
        n += 1
    return n if position == total else -5


@njit(cache=True, nogil=True)
def map_boundaries(
    boundaries: np.ndarray, n: int, height: int, row_prefix: np.ndarray, column_prefix: np.ndarray, mapped: np.ndarray
) -> None:
    """Map the first `n` boundaries through F, walking along the columns so that none costs a division."""
    rows_on_grid = row_prefix[height]
    last = column_prefix.size - 1
    column, column_start, before, weight = 0, 0, 0, column_prefix[1]
    for k in range(n):
        position = boundaries[k]
        while position - column_start >= height and column < last:
            column += 1
            column_start += height
            before = column_prefix[column] * rows_on_grid
            weight = column_prefix[column + 1] - column_prefix[column] if column < last else 0
        within = weight * row_prefix[position - column_start] if weight else 0
        mapped[k] = before + within


@njit(cache=True, nogil=True)
def foreground_area(boundaries: np.ndarray, n: int) -> int:
    total = 0
    for k in range(1, n, 2):
        total += boundaries[k] - boundaries[k - 1]
    return total


@njit(cache=True, nogil=True)
def overlap(a: np.ndarray, n: int, b: np.ndarray, m: int) -> int:
    """Grid pixels in foreground runs of both masks; runs are [0], [1]..[2], ... so foreground is 0-1, 2-3, ..."""
    total, i, j = 0, 0, 0
    while i + 1 < n and j + 1 < m:
        low = max(a[i], b[j])
        high = min(a[i + 1], b[j + 1])
        total += max(high - low, 0)
        # Branch-free: whichever run ends first is done with; on a tie both are, and either may go.
        first = a[i + 1] <= b[j + 1]
        i += 2 * first
        j += 2 * (not first)
    return total


@njit(cache=True, nogil=True)
def bounding_box(boundaries: np.ndarray, n: int, height: int, box: np.ndarray) -> None:
    """Bounding box of the foreground: top, left, bottom, right; bottom and right exclusive; zeros where empty."""
    top, left, bottom, right = height, -1, 0, 0
    column, column_start = 0, 0
    for k in range(1, n, 2):
        start, stop = boundaries[k - 1], boundaries[k]
        if stop == start:
            continue
        while start - column_start >= height:
            column += 1
            column_start += height
        if left < 0:
            left = column
        top = min(top, start - column_start)
        if stop - column_start > height:  # goes on into the next column, so it touches the first and the last row
            top, bottom = 0, height
            while stop - column_start > height:
                column += 1
                column_start += height
        else:
            bottom = max(bottom, stop - column_start)
        right = column + 1
    box[:] = 0
    if left >= 0:
        box[0], box[1], box[2], box[3] = top, left, bottom, right


@njit(cache=True, nogil=True)
def compare_boxes(a: np.ndarray, b: np.ndarray, terms: np.ndarray) -> None:
    """Intersection and union of two boxes."""
    shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    terms[0] = shared
    terms[1] = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared


@njit(cache=True, nogil=True)
def count_batch(
    texts: np.ndarray,
    text_at: np.ndarray,
    given: np.ndarray,
    own_sizes: np.ndarray,
    truth_texts: np.ndarray,
    truth_at: np.ndarray,
    truth_sizes: np.ndarray,
    truth_of: np.ndarray,
    prefixes: np.ndarray,
    row_at: np.ndarray,
    column_at: np.ndarray,
    counts: np.ndarray,
    boxes: np.ndarray,
    drawn: np.ndarray,
    truth_drawn: np.ndarray,
    faults: np.ndarray,
    truth_faults: np.ndarray,
) -> None:
    """Fill `counts` (n, grids, 3), `boxes` (n, 2) and the (n,) columns of `PairCounts`; see `count_pairs`."""
    pairs, grids = counts.shape[0], counts.shape[1]
    longest, longest_truth = 1, 1
    for k in range(pairs):
        longest = max(longest, text_at[k + 1] - text_at[k])
        longest_truth = max(longest_truth, truth_at[truth_of[k] + 1] - truth_at[truth_of[k]])
    boundaries = np.empty(longest, np.int64)
    truth_boundaries = np.empty(longest_truth, np.int64)
    mapped = np.empty(longest, np.int64)
    truth_mapped = np.empty((grids, longest_truth), np.int64)
    truth_areas = np.zeros(grids, np.int64)
    box, truth_box = np.zeros(4, np.int64), np.zeros(4, np.int64)
    last_truth, m, truth_area = -1, 0, 0
    for k in range(pairs):
        t = truth_of[k]
        height, width = truth_sizes[t, 0], truth_sizes[t, 1]
        if t != last_truth:  # several questions of one image follow each other: its truth is read once
            last_truth = t
            m = decode_runs(truth_texts, truth_at[t], truth_at[t + 1], height * width, truth_boundaries)
            truth_area = foreground_area(truth_boundaries, m)
            bounding_box(truth_boundaries, m, height, truth_box)
            for g in range(grids):
                if row_at[g, t] < 0:
                    truth_mapped[g, :m] = truth_boundaries[:m]
                    truth_areas[g] = truth_area
                else:
                    rows = prefixes[row_at[g, t] : row_at[g, t] + height + 1]
                    columns = prefixes[column_at[g, t] : column_at[g, t] + width + 1]
                    map_boundaries(truth_boundaries, m, height, rows, columns, truth_mapped[g])
                    truth_areas[g] = foreground_area(truth_mapped[g], m)
        if m < 0:
            truth_faults[k] = m
            continue
        truth_drawn[k] = truth_area > 0
        counts[k, :, 2] = truth_areas
        if not given[k]:
            compare_boxes(np.zeros(4, np.int64), truth_box, boxes[k])
            continue
        n = decode_runs(texts, text_at[k], text_at[k + 1], own_sizes[k, 0] * own_sizes[k, 1], boundaries)
        if n < 0:
            faults[k] = n
            continue
        native_area = foreground_area(boundaries, n)
        drawn[k] = native_area > 0
        bounding_box(boundaries, n, own_sizes[k, 0], box)
        compare_boxes(box, truth_box, boxes[k])
        for g in range(grids):
            if row_at[g, t] < 0:
                counts[k, g, 0] = overlap(boundaries, n, truth_mapped[g], m)
                counts[k, g, 1] = native_area
            else:
                rows = prefixes[row_at[g, t] : row_at[g, t] + height + 1]
                columns = prefixes[column_at[g, t] : column_at[g, t] + width + 1]
                map_boundaries(boundaries, n, height, rows, columns, mapped)
                counts[k, g, 0] = overlap(mapped, n, truth_mapped[g], m)
                counts[k, g, 1] = foreground_area(mapped, n)


@njit(cache=True, nogil=True)
def canvas_runs(
    boundaries: np.ndarray,
    n: int,
    height: int,
    row_prefix: np.ndarray,
    column_weights: np.ndarray,
    top: int,
    left: int,
    canvas_height: int,
    runs: np.ndarray,
) -> int:
    """Fill `runs` with start and end of every foreground run on the canvas, in its linear order; return how many ends.

    Where `runs` is too short only the needed length is found out.
    """
    starts = np.empty(height // 2 + 2, np.int64)
    stops = np.empty(height // 2 + 2, np.int64)
    filled, first, canvas_column = 0, 1, left
    last_stop = -1
    for column in range(column_weights.size):
        low, high = column * height, (column + 1) * height
        while first < n and boundaries[first] <= low:
            first += 2
        pieces, k = 0, first
        while k < n and boundaries[k - 1] < high:
            start = row_prefix[max(boundaries[k - 1], low) - low]
            stop = row_prefix[min(boundaries[k], high) - low]
            if stop > start:
                starts[pieces], stops[pieces] = start, stop
                pieces += 1
            k += 2
        for _ in range(column_weights[column]):
            offset = canvas_column * canvas_height + top
            for piece in range(pieces):
                if offset + starts[piece] == last_stop:  # goes on from the column before, or from a run before it
                    filled -= 1
                else:
                    if filled < runs.size:
                        runs[filled] = offset + starts[piece]
                    filled += 1
                last_stop = offset + stops[piece]
                if filled < runs.size:
                    runs[filled] = last_stop
                filled += 1
            canvas_column += 1
    return filled


def prefix_sums(weights: np.ndarray) -> np.ndarray:
    """(n,) weights to (n + 1,) sums of the weights before each index."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(weights)])


@lru_cache(maxsize=4096)
def _grid_prefixes(grid: Grid, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = grid_weights(grid, height, width)
    return prefix_sums(rows), prefix_sums(columns)


def foreground_boundaries(rle: RLE, grid: Grid | None = None) -> np.ndarray:
    """Start and end of every foreground run of `rle`, counted in pixels of `grid` (native by default).

    Validates the encoding on the way. Memory is bounded by the length of the string, never by the size it claims.

    Returns:
        (2k,) int64, not falling: start 0, end 0, start 1, ...

    Raises:
        RLEError: the counts are not a mask of `rle["size"]`.
    """
    height, width = rle["size"]
    try:
        text = np.frombuffer(rle["counts"].encode("ascii"), np.uint8)
    except UnicodeEncodeError:
        raise RLEError(describe_fault(-1, height, width)) from None
    boundaries = np.empty(text.size, np.int64)
    n = decode_runs(text, 0, text.size, height * width, boundaries)
    if n < 0:
        raise RLEError(describe_fault(n, height, width))
    if grid is not None and grid.kind != "native":
        mapped = np.empty(n, np.int64)
        map_boundaries(boundaries, n, height, *_grid_prefixes(grid, height, width), mapped)
        boundaries = mapped
    return boundaries[: n // 2 * 2]  # runs alternate from background, so ends 0-1, 2-3, ... bound the foreground


def area(boundaries: np.ndarray) -> int:
    """Foreground pixels of a mask given by `foreground_boundaries`."""
    return int(foreground_area(boundaries, boundaries.size))


def intersection(a: np.ndarray, b: np.ndarray) -> int:
    """Foreground pixels shared by two masks given by `foreground_boundaries` on the same grid."""
    return int(overlap(a, a.size, b, b.size))
