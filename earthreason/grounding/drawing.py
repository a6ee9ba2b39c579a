"""Masks of regions that a model gave in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from earthreason.grounding.answers import Target


def fill_targets(targets: Sequence[Target], width: int, height: int) -> np.ndarray:
    """Return the union of the boxes, (height, width) bool; a region without a box marks the pixels of its points.

    Args:
        targets: regions in fractions of the image.
        width: width of the image, pixels.
        height: height of the image, pixels.
    """
    mask = np.zeros((height, width), bool)
    for target in targets:
        if target.box is not None:
            left, top, right, bottom = np.array(target.box) * np.tile([width, height], 2)
            mask[_whole(top, bottom, height), _whole(left, right, width)] = True
            continue
        for point in target.points:
            mask[pixel_of(point, width, height)] = True
    return mask


def pixel_of(point: Sequence[float], width: int, height: int) -> tuple[int, int]:
    """Return row and column of the pixel that contains a point (x, y) in fractions of the image."""
    return min(int(point[1] * height), height - 1), min(int(point[0] * width), width - 1)


def _whole(start: float, end: float, length: int) -> slice:
    """Return the pixels from `start` to `end`, at least one."""
    first = min(round(start), length - 1)
    return slice(first, max(first + 1, round(end)))
