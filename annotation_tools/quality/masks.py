"""How far two masks of one image are apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt

from annotation_tools.drawing import Drawing


@dataclass(frozen=True)
class MaskPair:
    """Two people's masks of one image.

    Attributes:
        image: id of the task.
        first: annotator.
        second: annotator.
        iou: intersection over union; 1 if both are empty.
        distance: mean distance from one outline to the other and back, pixels; None if one is empty.
        hausdorff95: 95th percentile of these distances, pixels; None if one is empty.
        same_emptiness: both say there is a target, or both that there is none.
    """

    image: str
    first: str
    second: str
    iou: float
    distance: float | None
    hausdorff95: float | None
    same_emptiness: bool


def compare_drawings(drawings: Mapping[str, Sequence[Drawing]]) -> list[MaskPair]:
    """Every pair of drawings of the same image."""
    found = []
    for image, several in drawings.items():
        masks = {drawing.annotator: drawing.mask for drawing in several}
        for first, second in combinations(sorted(masks), 2):
            one, other = masks[first], masks[second]
            distances = outline_distances(one, other)
            found.append(
                MaskPair(
                    image,
                    first,
                    second,
                    mask_iou(one, other),
                    None if distances is None else float(distances.mean()),
                    None if distances is None else float(np.percentile(distances, 95)),
                    bool(one.any() == other.any()),
                )
            )
    return found


def mask_iou(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two (height, width) bool masks; 1 if both are empty.

    >>> mask_iou(np.array([[True, True]]), np.array([[True, False]]))
    0.5
    """
    union = int(np.count_nonzero(one | other))
    return 1.0 if union == 0 else int(np.count_nonzero(one & other)) / union


def outline_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """Euclidean distances in pixels from each outline pixel of either mask to the other's outline: (n,).

    None if a mask is empty: there is no outline to be far from.
    """
    if not one.any() or not other.any():
        return None
    outlines = [mask & ~binary_erosion(mask) for mask in (one, other)]
    to_first, to_second = (distance_transform_edt(~outline) for outline in outlines)
    return np.concatenate([to_second[outlines[0]], to_first[outlines[1]]])
