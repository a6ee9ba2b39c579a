"""Compare many pairs of masks at once: the batch form of the region kernel, used by the judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from earthreason.masks.grids import Grid, grid_weights
from earthreason.masks.kernel import count_batch, prefix_sums
from earthreason.types import RLE


class TruthTable:
    """Ground-truth masks packed for `count_pairs`, with the weights of the grids of the comparison.

    Attributes:
        grids: grids of the counts.
        sizes: (n, 2) int64, height and width of every mask in pixels.
        packed: counts of each mask, the (n, 2) sizes, one int64 buffer of the weights of all grids, and the
            (grids, n, 2) starts of rows and columns in it, -1 for a grid that keeps every pixel. For the rows of a mask
            it holds the (height + 1) prefix sums of their weights, for each column the number of grid pixels before it
            and its weight.
    """

    def __init__(self, masks: Sequence[RLE], grids: Sequence[Grid]) -> None:
        """Pack masks; their counts are validated when they are compared."""
        self.grids = tuple(grids)
        self.sizes = np.array([mask["size"] for mask in masks], np.int64).reshape(-1, 2)
        self.packed = (tuple(mask["counts"] for mask in masks), self.sizes, *self._pack_weights())

    def _pack_weights(self) -> tuple[np.ndarray, np.ndarray]:
        # Much faster than numpy.unique of rows.
        numbers: dict[tuple[int, int], int] = {}
        shape_of = [numbers.setdefault((height, width), len(numbers)) for height, width in self.sizes.tolist()]
        weights_at = np.full((len(self.grids), len(self.sizes), 2), -1, np.int64)
        parts, end = [np.zeros(0, np.int64)], 0
        for g, grid in enumerate(self.grids):
            if grid.kind == "native":
                continue
            at = np.zeros((len(numbers), 2), np.int64)
            for s, (height, width) in enumerate(numbers):
                if grid.resized_shape(height, width) == (height, width):
                    at[s] = -1
                    continue
                row_weights, column_weights = grid_weights(grid, height, width)
                rows = prefix_sums(row_weights)
                before = prefix_sums(column_weights)[:-1] * rows[-1]
                parts += [rows, np.stack([before, column_weights], axis=1).ravel()]
                at[s] = end, end + rows.size
                end += rows.size + 2 * width
            weights_at[g] = at[shape_of]
        return np.concatenate(parts), weights_at


@dataclass(frozen=True)
class PairCounts:
    """Counts of n pairs of masks, in pixels.

    Attributes:
        counts: (n, grids, 3) int64: intersection, prediction area, truth area.
        boxes: (n, 2) int64: intersection and union of the bounding boxes, on the native grid.
        drawn, truth_drawn: (n,) bool, whether the mask has foreground on the native grid.
        faults, truth_faults: (n,) int64, 0 or a code for `describe_fault`; the other values of a pair with a fault are
            undefined.
    """

    counts: np.ndarray
    boxes: np.ndarray
    drawn: np.ndarray
    truth_drawn: np.ndarray
    faults: np.ndarray
    truth_faults: np.ndarray


def count_pairs(
    predictions: Sequence[RLE | None], truth_of: Sequence[int] | np.ndarray, truth: TruthTable, threads: int = 1
) -> PairCounts:
    """Compare each prediction with a ground-truth mask on every grid of the table.

    Args:
        predictions: masks, not yet validated; None is "no target".
        truth_of: index in the table for each prediction.
        truth: packed ground truth.
        threads: most threads to use.
    """
    n, grids = len(predictions), len(truth.grids)
    out = (
        np.zeros((n, grids, 3), np.int64),
        np.zeros((n, 2), np.int64),
        np.zeros(n, bool),
        np.zeros(n, bool),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
    )
    count_batch(predictions, np.asarray(truth_of, np.int64), truth.packed, out, threads)
    return PairCounts(*out)
