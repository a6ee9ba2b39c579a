"""Row-major runs of a mask inside its bounding box, in CVAT's order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from earthreason.errors import DataFormatError


def bounding_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return left, top, width and height of the foreground of a (height, width) mask, which must not be empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1


def row_runs(crop: np.ndarray) -> list[int]:
    """Return the lengths of the alternating runs of a (height, width) mask read row by row, background first."""
    flat = np.asarray(crop, bool).ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else lengths


def from_row_runs(runs: Sequence[int], height: int, width: int) -> np.ndarray:
    """Decode such runs into a (height, width) bool mask.

    Raises:
        DataFormatError: a run is negative, or the runs do not fill the box.
    """
    total = sum(map(int, runs))  # Python integers, because a sum of 64 bits could overflow to the right total
    if min(runs, default=0) < 0 or total != height * width:
        raise DataFormatError(f"runs of {total} pixels in a box of {height} x {width}")
    return (np.repeat(np.arange(len(runs)), np.asarray(runs, np.int64)) % 2 == 1).reshape(height, width)
