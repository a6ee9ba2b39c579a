"""The region kernel compiled by numba, for machines where the C extension was not built.

The loops are in one file because numba's cache checks only the file of the caller for changes. docs/explain/
region_kernel.md explains the method.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from earthreason.types import RLE

_Arrays = tuple[np.ndarray, ...]


@njit(cache=True, nogil=True)
def _decode(text: np.ndarray, start: int, stop: int, total: int, boundaries: np.ndarray) -> int:
    """Fill `boundaries` with the end of every run of `text[start:stop]`; return their number or a negative fault."""
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
                before, digit = digit, int(text[i]) - 48
                i += 1
                if digit < 0 or digit > 63:
                    return -1
                if shift == 35:
                    return -3
                if digit == (31 if before & 16 else 0):  # the characters before say it already
                    return -6
                value |= (digit & 31) << shift
                shift += 5
            if shift == 35 and digit > 3:  # pycocotools reads 32 bits: six characters and two bits
                return -3
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
def foreground_area(boundaries: np.ndarray, n: int) -> int:
    """Return the number of foreground pixels before the first `n` boundaries."""
    total = 0
    for k in range(1, n, 2):
        total += boundaries[k] - boundaries[k - 1]
    return total


@njit(cache=True, nogil=True)
def map_boundaries(
    boundaries: np.ndarray, n: int, height: int, weights: np.ndarray, at: np.ndarray, mapped: np.ndarray
) -> int:
    """Map the first `n` boundaries through F, column by column so that no boundary costs a division.

    `TruthTable.packed` describes `weights` and `at`.

    Returns:
        Number of foreground pixels on the grid.
    """
    if at[0] < 0:
        mapped[:n] = boundaries[:n]
        return foreground_area(mapped, n)
    rows, columns = weights[at[0] :], weights[at[1] :]
    column, column_start = 0, 0
    for k in range(n // 2 * 2):
        while boundaries[k] - column_start > height:
            column += 2
            column_start += height
        mapped[k] = columns[column] + columns[column + 1] * rows[boundaries[k] - column_start]
    return foreground_area(mapped, n)


@njit(cache=True, nogil=True)
def overlap(a: np.ndarray, n: int, b: np.ndarray, m: int) -> int:
    """Return the number of pixels that are foreground in both masks, whose runs are boundaries 0-1, 2-3, ..."""
    total, i, j = 0, 0, 0
    while i + 1 < n and j + 1 < m:
        low = max(a[i], b[j])
        high = min(a[i + 1], b[j + 1])
        total += max(high - low, 0)
        # Branch-free: advance past the run that ends first; on a tie, either may advance.
        first = a[i + 1] <= b[j + 1]
        i += 2 * first
        j += 2 * (not first)
    return total


@njit(cache=True, nogil=True)
def bounding_box(boundaries: np.ndarray, n: int, height: int, box: np.ndarray) -> None:
    """Fill `box` with top, left, bottom, right of the foreground, the last two exclusive; zeros for an empty mask."""
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
        if stop - column_start > height:  # reaches the next column, so it touches the first and the last row
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
    """Fill `terms` with the intersection and union of two boxes, in pixels."""
    shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    terms[0] = shared
    terms[1] = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared


@njit(cache=True, nogil=True)
def _compare_all(predictions: _Arrays, truth: _Arrays, truth_of: np.ndarray, out: _Arrays) -> None:
    texts, text_at, given, own_sizes = predictions
    truth_texts, truth_at, truth_sizes, weights, weights_at = truth
    counts, boxes, drawn, truth_drawn, faults, truth_faults = out
    pairs, grids = counts.shape[0], counts.shape[1]
    longest, longest_truth = 1, 1
    for k in range(pairs):
        longest = max(longest, text_at[k + 1] - text_at[k])
        longest_truth = max(longest_truth, truth_at[k + 1] - truth_at[k])
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
        if t != last_truth:  # questions of one image are adjacent, so its truth is decoded once
            last_truth = t
            m = _decode(truth_texts, truth_at[k], truth_at[k + 1], height * width, truth_boundaries)
            truth_area = foreground_area(truth_boundaries, m)
            bounding_box(truth_boundaries, m, height, truth_box)
            for g in range(grids):
                truth_areas[g] = map_boundaries(truth_boundaries, m, height, weights, weights_at[g, t], truth_mapped[g])
        if m < 0:
            truth_faults[k] = m
            continue
        truth_drawn[k] = truth_area > 0
        counts[k, :, 2] = truth_areas
        if not given[k]:
            compare_boxes(np.zeros(4, np.int64), truth_box, boxes[k])
            continue
        n = _decode(texts, text_at[k], text_at[k + 1], own_sizes[k, 0] * own_sizes[k, 1], boundaries)
        if n < 0:
            faults[k] = n
            continue
        drawn[k] = foreground_area(boundaries, n) > 0
        bounding_box(boundaries, n, own_sizes[k, 0], box)
        compare_boxes(box, truth_box, boxes[k])
        for g in range(grids):
            counts[k, g, 1] = map_boundaries(boundaries, n, height, weights, weights_at[g, t], mapped)
            counts[k, g, 0] = overlap(mapped, n, truth_mapped[g], m)


def _pack(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return one buffer of all texts, (bytes,) uint8, and the start of each, (n + 1,) int64."""
    # Other characters than ASCII become bytes that decoding refuses.
    parts = [text.encode("utf-8", "surrogatepass") for text in texts]
    starts = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(part) for part in parts], out=starts[1:])
    return np.frombuffer(b"".join(parts), np.uint8), starts


def count_batch(
    threads: int,
    predictions: Sequence[RLE | None],
    truth_texts: Sequence[str],
    truth_of: np.ndarray,
    sizes: np.ndarray,
    weights: np.ndarray,
    weights_at: np.ndarray,
    *out: np.ndarray,
) -> None:
    """Compare each prediction with its truth, as `kernel.count_batch`."""
    given = np.array([mask is not None for mask in predictions], bool)
    own_sizes = np.array([(1, 1) if mask is None else mask["size"] for mask in predictions], np.int64).reshape(-1, 2)
    resized = (weights_at[:, truth_of, 0] >= 0).any(axis=0) & given
    if (own_sizes[resized] != sizes[truth_of[resized]]).any():
        raise ValueError("masks of different sizes are compared on a grid")
    texts, text_at = _pack(["" if mask is None else mask["counts"] for mask in predictions])
    targets, target_at = _pack([truth_texts[t] for t in truth_of.tolist()])

    def compare(first: int, end: int) -> None:
        rows, starts = slice(first, end), slice(first, end + 1)
        answers = texts, text_at[starts], given[rows], own_sizes[rows]
        truth = targets, target_at[starts], sizes, weights, weights_at
        _compare_all(answers, truth, truth_of[rows], tuple(column[rows] for column in out))

    ends = np.linspace(0, len(predictions), max(threads, 1) + 1).astype(int).tolist()
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        list(pool.map(compare, ends[:-1], ends[1:]))


def decode_runs(text: str, total: int, boundaries: np.ndarray) -> int:
    """Fill `boundaries` with the end of every run of an ASCII text; return their number or a negative fault."""
    return int(_decode(np.frombuffer(text.encode("ascii"), np.uint8), 0, len(text), total, boundaries))


@njit(cache=True, nogil=True)
def canvas_runs(
    boundaries: np.ndarray,
    height: int,
    row_prefix: np.ndarray,
    column_weights: np.ndarray,
    top: int,
    left: int,
    canvas_height: int,
    runs: np.ndarray,
) -> int:
    """Fill `runs` with start and end of every foreground run on the canvas, in linear order; return their number.

    If `runs` is too short, its content is incomplete and the returned number is the required length.
    """
    filled, first = 0, 1
    last_stop, offset = -1, left * canvas_height + top
    for column in range(column_weights.size):
        low, high = column * height, (column + 1) * height
        while first < boundaries.size and boundaries[first] <= low:
            first += 2
        for _ in range(column_weights[column]):
            k = first
            while k < boundaries.size and boundaries[k - 1] < high:
                start = row_prefix[max(boundaries[k - 1], low) - low]
                stop = row_prefix[min(boundaries[k], high) - low]
                k += 2
                if stop <= start:
                    continue
                if filled and offset + start == last_stop:  # continues the run before it
                    filled -= 1
                else:
                    if filled < runs.size:
                        runs[filled] = offset + start
                    filled += 1
                last_stop = offset + stop
                if filled < runs.size:
                    runs[filled] = last_stop
                filled += 1
            offset += canvas_height
    return filled
