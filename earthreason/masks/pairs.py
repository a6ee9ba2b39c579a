"""Many pairs of masks at once: the batch form of the region kernel, which the judge runs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from earthreason.masks.grids import Grid, grid_weights
from earthreason.masks.kernel import count_batch, prefix_sums
from earthreason.types import RLE


def _pack_texts(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """One buffer of all texts and where each begins: (bytes,) uint8 and (n + 1,) int64."""
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=starts[1:])
    # "replace" keeps one byte per character and turns what is not ASCII into "?", which is valid RLE, so it must be
    # caught before; see `is_ascii` in `count_pairs`.
    return np.frombuffer("".join(texts).encode("ascii", "replace"), np.uint8), starts


class TruthTable:
    """Ground-truth masks packed for `count_pairs`, with the weights of the grids they are compared on.

    Attributes:
        grids: what counts are wanted on.
        sizes: (n, 2) int64, height and width of every mask.
    """

    def __init__(self, masks: Sequence[RLE], grids: Sequence[Grid]) -> None:
        """Pack masks; their counts are checked when they are compared."""
        self.grids = tuple(grids)
        self.texts, self.starts = _pack_texts([mask["counts"] for mask in masks])
        self.not_ascii = np.array([not mask["counts"].isascii() for mask in masks], bool)
        self.sizes = np.array([mask["size"] for mask in masks], np.int64).reshape(-1, 2)
        self.row_at = np.full((len(self.grids), len(masks)), -1, np.int64)
        self.column_at = np.full_like(self.row_at, -1)
        self.prefixes = self._pack_prefixes()

    def _pack_prefixes(self) -> np.ndarray:
        shapes, shape_of = np.unique(self.sizes, axis=0, return_inverse=True)
        parts, end = [np.zeros(0, np.int64)], 0
        for g, grid in enumerate(self.grids):
            if grid.kind == "native":
                continue
            at = np.zeros((len(shapes), 2), np.int64)
            for s, (height, width) in enumerate(shapes.tolist()):
                for axis, weights in enumerate(grid_weights(grid, height, width)):
                    at[s, axis] = end
                    parts.append(prefix_sums(weights))
                    end += weights.size + 1
            self.row_at[g], self.column_at[g] = at[shape_of.ravel()].T
        return np.concatenate(parts)


@dataclass(frozen=True)
class PairCounts:
    """Integers of n pairs.

    Attributes:
        counts: (n, grids, 3) int64: intersection, prediction area, truth area.
        boxes: (n, 2) int64: intersection and union of the masks' bounding boxes, at the masks' own size.
        drawn, truth_drawn: (n,) bool, the mask has foreground at its own size.
        faults, truth_faults: (n,) int64, 0 or a code for `describe_fault`; the other integers of such a pair mean
            nothing.
    """

    counts: np.ndarray
    boxes: np.ndarray
    drawn: np.ndarray
    truth_drawn: np.ndarray
    faults: np.ndarray
    truth_faults: np.ndarray


def count_pairs(predictions: Sequence[RLE | None], truth_of: Sequence[int], truth: TruthTable) -> PairCounts:
    """Compare each prediction with a truth mask on every grid of the table.

    Args:
        predictions: masks from outside, not yet validated; None is "no target".
        truth_of: index of each pair's truth in the table.
        truth: the packed truth.
    """
    n, grids = len(predictions), len(truth.grids)
    given = np.array([p is not None for p in predictions], bool)
    counts_text = ["" if p is None else p["counts"] for p in predictions]
    is_ascii = np.array([text.isascii() for text in counts_text], bool)
    texts, starts = _pack_texts(counts_text)
    own_sizes = np.array([(1, 1) if p is None else p["size"] for p in predictions], np.int64).reshape(-1, 2)
    found = PairCounts(
        np.zeros((n, grids, 3), np.int64),
        np.zeros((n, 2), np.int64),
        np.zeros(n, bool),
        np.zeros(n, bool),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
    )
    count_batch(
        texts,
        starts,
        given,
        own_sizes,
        truth.texts,
        truth.starts,
        truth.sizes,
        np.asarray(truth_of, np.int64),
        truth.prefixes,
        truth.row_at,
        truth.column_at,
        found.counts,
        found.boxes,
        found.drawn,
        found.truth_drawn,
        found.faults,
        found.truth_faults,
    )
    found.faults[~is_ascii] = -1
    if truth.not_ascii.size:
        found.truth_faults[truth.not_ascii[np.asarray(truth_of, np.int64)]] = -1
    return found
