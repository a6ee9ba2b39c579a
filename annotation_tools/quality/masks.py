"""Compare masks of the same image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from ..drawing import Drawing
from .crops import crop_masks
from .instances import TargetCounts, count_targets

_SPARSE = 16
"""Pixels of a box per outline pixel from which a search tree is faster than a distance transform of the box."""


@dataclass(frozen=True)
class MaskPair:
    """Two people's masks of one image.

    Attributes:
        image: task ID.
        first: name of the first annotator.
        second: name of the second annotator.
        iou: intersection over union; 1 if both masks are empty.
        distance: mean of `outline_distances`, pixels; None if a mask is empty.
        hausdorff95: 95th percentile of `outline_distances`, pixels; None if a mask is empty.
        same_emptiness: whether both masks are empty or neither is.
        targets: comparison of the separate targets, None if nobody kept them apart.
    """

    image: str
    first: str
    second: str
    iou: float
    distance: float | None
    hausdorff95: float | None
    same_emptiness: bool
    targets: TargetCounts | None = None


def compare_drawings(
    drawings: Mapping[str, Sequence[Drawing]], progress: Callable[[int], object] = lambda _: None
) -> list[MaskPair]:
    """Compare every pair of drawings of the same image.

    Args:
        drawings: drawings by task.
        progress: called with 1 after every task.
    """
    pairs = []
    for task, several in drawings.items():
        pairs += _compare_task(task, {drawing.annotator: drawing for drawing in several})
        progress(1)
    return pairs


def _compare_task(task: str, by_name: Mapping[str, Drawing]) -> list[MaskPair]:
    if len(by_name) < 2:
        return []
    names = sorted(by_name)
    masks = dict(zip(names, crop_masks([by_name[name].segmentation for name in names]).masks, strict=True))
    outlines = {name: _Outline(mask) for name, mask in masks.items()}
    pairs = []
    for first, second in combinations(names, 2):
        distances = _distances(outlines[first], outlines[second])
        drawn = by_name[first], by_name[second]
        apart = any(drawing.targets is not None for drawing in drawn)
        pairs.append(
            MaskPair(
                task,
                first,
                second,
                mask_iou(masks[first], masks[second]),
                None if distances is None else float(distances.mean()),
                None if distances is None else float(np.percentile(distances, 95)),
                outlines[first].is_empty == outlines[second].is_empty,
                count_targets(*(drawing.separate for drawing in drawn)) if apart else None,
            )
        )
    return pairs


def mask_iou(one: np.ndarray, other: np.ndarray) -> float:
    """Compute the intersection over union of two (height, width) bool masks; 1 if both are empty.

    >>> mask_iou(np.array([[True, True]]), np.array([[True, False]]))
    0.5
    """
    union = int(np.count_nonzero(one | other))
    return 1.0 if union == 0 else int(np.count_nonzero(one & other)) / union


def outline_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """Measure the Euclidean distance from every outline pixel of each mask to the other outline: (n,), in pixels.

    The masks are (height, width) bool. Return None if one is empty and so has no outline.
    """
    return _distances(_Outline(one), _Outline(other))


class _Outline:
    """The pixels of a (height, width) bool mask that have a neighbour outside it, above, below, left or right.

    What is beyond the border of the array counts as outside, so a box without foreground around it changes nothing.
    """

    def __init__(self, mask: np.ndarray) -> None:
        self.shape = mask.shape
        padded = np.pad(mask, 1)
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        self.points = np.argwhere(mask & ~inner)  # (n, 2): row and column

    @property
    def is_empty(self) -> bool:
        return not len(self.points)

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(self.points)

    @cached_property
    def _map(self) -> np.ndarray:
        from scipy.ndimage import distance_transform_edt

        outside = np.ones(self.shape, bool)
        outside[tuple(self.points.T)] = False
        return np.asarray(distance_transform_edt(outside))

    def distances(self, points: np.ndarray) -> np.ndarray:
        """Return the distance of each of (n, 2) points to this outline: (n,) float64, the same by both ways."""
        if _SPARSE * len(self.points) < self.shape[0] * self.shape[1]:
            return np.asarray(self._tree.query(points)[0])
        return self._map[tuple(points.T)]


def _distances(one: _Outline, other: _Outline) -> np.ndarray | None:
    if one.is_empty or other.is_empty:
        return None
    return np.concatenate([other.distances(one.points), one.distances(other.points)])
