"""Find room on the ground, and tell which lines need joints. Lengths are in pixels."""

from __future__ import annotations

import math

import cv2
import numpy as np


def free_centre(rng: np.random.Generator, blocked: np.ndarray, r: int, margin: int) -> tuple[float, float] | None:
    """Return a random centre (x, y) of a free square of `2 r + 1` pixels; large images are searched coarsely.

    Args:
        rng: source of randomness.
        blocked: (height, width) bool, ground that is not free.
        r: half the side of the square.
        margin: least distance of the centre from the border.
    """
    height, width = blocked.shape
    step = max(1, min(height, width) // 256)
    rows, columns = height // step, width // step
    cells = blocked[: rows * step, : columns * step].reshape(rows, step, columns, step).max(axis=(1, 3))
    free = ~dilate(cells.astype(np.uint8), math.ceil(r / step))
    edge = math.ceil(margin / step)
    inner = free[edge : rows - edge, edge : columns - edge]
    places = np.flatnonzero(inner)
    if not places.size:
        return None
    row, column = divmod(int(rng.choice(places)), inner.shape[1])
    return (column + edge + 0.5) * step, (row + edge + 0.5) * step


def dilate(mask: np.ndarray, r: int) -> np.ndarray:
    """Return the pixels of squares of `2 r + 1` pixels around those of a mask, (height, width) uint8, as bool."""
    grown = mask
    # Two narrow elements make a wide one, at a fraction of the time.
    for shape in ((2 * r + 1, 1), (1, 2 * r + 1)) if r else ():
        grown = cv2.dilate(grown, np.ones(shape, np.uint8))
    return np.asarray(grown, np.uint8).view(bool)


def inner_distance(mask: np.ndarray) -> np.ndarray:
    """Return the distance of pixels of a (height, width) bool mask from the nearest other one: float32, 0 outside."""
    if mask.all():
        return np.full(mask.shape, np.float32(np.hypot(*mask.shape)))
    return np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))


def has_gaps(path: np.ndarray, width: float) -> bool:
    """Return whether a line of this width in pixels has bends whose outer side needs a joint; joints are slow."""
    if width <= 4 or len(path) < 3:
        return False
    dx, dy = np.diff(path, axis=0).T
    across = np.abs(dx[:-1] * dy[1:] - dy[:-1] * dx[1:])
    along = dx[:-1] * dx[1:] + dy[:-1] * dy[1:]
    return bool((across * width > 1.2 * np.maximum(along, 0)).any())
