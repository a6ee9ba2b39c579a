"""Polygons drawn by OpenCV, as LISA's reader of ReasonSeg and GeoPixel's draw them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from earthreason.masks.rle import MAX_SIDE

FARTHEST = 10 * MAX_SIDE
"""Farthest coordinate of a polygon in pixels; beyond it, drawing libraries overflow."""


def draw_polygon(canvas: np.ndarray, points: Sequence[Sequence[float]], value: int) -> np.ndarray:
    """Set a polygon on the canvas: the closed outline, one pixel wide, and its inside by the even-odd rule.

    Args:
        canvas: (height, width) uint8, which is changed.
        points: vertices (x, y) in pixels; fractions are cut off. Vertices may lie outside the canvas.
        value: value of the drawn pixels.

    Returns:
        The canvas.

    Raises:
        ValueError: a vertex is not a pair of numbers, or is far outside of every picture.
    """
    import cv2  # takes 0.1 s, and few commands draw polygons

    if len(points) == 0:
        return canvas
    vertices = np.asarray(points, np.float64)
    if vertices.ndim != 2 or vertices.shape[1] != 2:
        raise ValueError(f"a polygon is a list of [x, y], not an array of shape {vertices.shape}")
    outside = ~(np.abs(vertices) <= FARTHEST).all(axis=1)  # NaN is outside too
    if outside.any():
        raise ValueError(f"the vertex {vertices[outside][0].tolist()} is far outside of every picture")
    cut = vertices.astype(np.int32)
    cv2.polylines(canvas, [cut], True, value, 1)
    cv2.fillPoly(canvas, [cut], value)
    return canvas
