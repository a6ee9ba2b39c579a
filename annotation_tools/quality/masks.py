"""Compare masks of the same image."""

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
        image: task ID.
        first: name of the first annotator.
        second: name of the second annotator.
        iou: intersection over union; 1 if both masks are empty.
        distance: mean of `outline_distances`, pixels; None if a mask is empty.
        hausdorff95: 95th percentile of `outline_distances`, pixels; None if a mask is empty.
        same_emptiness: whether both masks are empty or neither is.
    """

    image: str
    first: str
    second: str
    iou: float
    distance: float | None
    hausdorff95: float | None
    same_emptiness: bool


def compare_drawings(drawings: Mapping[str, Sequence[Drawing]]) -> list[MaskPair]:
    """Compare every pair of drawings of the same image; `drawings` are by task."""
    pairs = []
    for image, several in drawings.items():
        masks = {drawing.annotator: drawing.mask for drawing in several}
        for first, second in combinations(sorted(masks), 2):
            one, other = masks[first], masks[second]
            distances = outline_distances(one, other)
            pairs.append(
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
    if not one.any() or not other.any():
        return None
    outlines = [mask & ~binary_erosion(mask) for mask in (one, other)]
    to_first, to_second = (distance_transform_edt(~outline) for outline in outlines)
    return np.concatenate([to_second[outlines[0]], to_first[outlines[1]]])
