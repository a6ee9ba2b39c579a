"""Find room on the ground, and tell which lines need joints. Lengths are in pixels."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import maximum_filter


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
    cells = blocked[: rows * step, : columns * step].reshape(rows, step, columns, step).any(axis=(1, 3))
    free = ~maximum_filter(cells, 2 * math.ceil(r / step) + 1, mode="constant")
    edge = math.ceil(margin / step)
    inner = free[edge : rows - edge, edge : columns - edge]
    places = np.flatnonzero(inner)
    if not places.size:
        return None
    row, column = divmod(int(rng.choice(places)), inner.shape[1])
    return (column + edge + 0.5) * step, (row + edge + 0.5) * step


def has_gaps(path: np.ndarray, width: float) -> bool:
    """Return whether a line of this width in pixels has bends whose outer side needs a joint; joints are slow."""
    if width <= 4 or len(path) < 3:
        return False
    dx, dy = np.diff(path, axis=0).T
    across = np.abs(dx[:-1] * dy[1:] - dy[:-1] * dx[1:])
    along = dx[:-1] * dx[1:] + dy[:-1] * dy[1:]
    return bool((across * width > 1.2 * np.maximum(along, 0)).any())
