"""Row-major runs of a mask inside its box, as CVAT writes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from earthreason.errors import DataFormatError


def bounding_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, width and height of the foreground of a (height, width) mask that has some."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1


def row_runs(crop: np.ndarray) -> list[int]:
    """Lengths of the alternating runs of a (height, width) mask read row by row, background first."""
    flat = np.asarray(crop, bool).ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else lengths


def from_row_runs(runs: Sequence[int], height: int, width: int) -> np.ndarray:
    """The (height, width) bool mask of such runs.

    Raises:
        DataFormatError: they are negative or do not fill the box.
    """
    total = sum(map(int, runs))  # whole numbers of Python: 64 bits would wrap around to a sum that fits
    if min(runs, default=0) < 0 or total != height * width:
        raise DataFormatError(f"runs of {total} pixels in a box of {height} x {width}")
    return (np.repeat(np.arange(len(runs)), np.asarray(runs, np.int64)) % 2 == 1).reshape(height, width)
