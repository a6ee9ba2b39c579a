"""Fill shapes as the tools do that wrote them; their choices of pixels along an outline differ."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from earthreason.data.sources.annotations import mask_of_annotation
from earthreason.errors import DataFormatError

from .base import Patch
from .polygons import Points, checked_polygon


def fill_as_pycocotools(points: Points, height: int, width: int, place: str, repair: bool = False) -> np.ndarray:
    """Fill a polygon as pycocotools does; return a (height, width) bool mask.

    Args:
        points: at least three corners (x, y) in pixels, x to the right, y down.
        height: height of the image, pixels.
        width: width of the image, pixels.
        place: location for error messages.
        repair: fill a self-intersecting polygon even-odd and clip it at the border, as pycocotools does, instead of
            refusing it.

    Raises:
        DataFormatError: the polygon has fewer than three points, is not finite, outside the image or self-intersecting.
    """
    checked_polygon(points, height, width, place, repair)
    return mask_of_annotation([[float(value) for point in points for value in point]], height, width)


def fill_as_opencv(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Fill a polygon of whole pixels with `cv2.fillPoly`, outline included; return a (height, width) bool mask.

    Args:
        points: (n, 2) int32, columns x and y.
        height: height of the image, pixels.
        width: width of the image, pixels.
    """
    import cv2

    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.ascontiguousarray(points, np.int32)], 1)
    return mask.astype(bool)


def fill_ellipse(
    centre: tuple[float, float], radii: tuple[float, float], radians: float, height: int, width: int
) -> Patch:
    """Fill an ellipse: a pixel belongs to it if its centre is inside. It is clipped at the border of the image.

    Args:
        centre: x and y, pixels.
        radii: half axes before the rotation along x and y, pixels.
        radians: clockwise rotation about the centre.
        height: height of the image, pixels.
        width: width of the image, pixels.
    """
    cosine, sine = math.cos(radians), math.sin(radians)
    half_width = math.hypot(radii[0] * cosine, radii[1] * sine)
    half_height = math.hypot(radii[0] * sine, radii[1] * cosine)
    left, right = _span(centre[0], half_width, width)
    top, bottom = _span(centre[1], half_height, height)
    x = np.arange(left, right) + 0.5 - centre[0]
    y = (np.arange(top, bottom) + 0.5 - centre[1])[:, None]
    along, across = (x * cosine + y * sine) / radii[0], (y * cosine - x * sine) / radii[1]
    return Patch(along**2 + across**2 <= 1, top, left)


def _span(middle: float, half: float, size: int) -> tuple[int, int]:
    """Return the pixels from `middle - half` to `middle + half` that are in the image, as start and end."""
    start = min(max(math.floor(middle - half), 0), size)
    return start, max(min(math.ceil(middle + half), size), start)


def checked_round(
    values: Sequence[float], height: int, width: int, place: str, repair: bool = False
) -> tuple[float, ...]:
    """Check the centre and the sizes of a circle, an ellipse or a rotated box; return them.

    Such a shape may reach over the border of the image, because it cannot be drawn along it. Its centre may not.

    Args:
        values: x and y of the centre, then radii or sides, pixels.
        height: height of the image, pixels.
        width: width of the image, pixels.
        place: location for error messages.
        repair: allow a centre outside.

    Raises:
        DataFormatError: a value is not finite, a size is not positive, or the centre is outside the image.
    """
    if not all(map(math.isfinite, values)):
        raise DataFormatError(f"{place}: a coordinate is not a finite number")
    x, y, *sizes = values
    if min(sizes) <= 0:
        raise DataFormatError(f"{place}: a radius or side of {min(sizes):g} pixels; it must be greater than 0")
    if not (0 <= x <= width and 0 <= y <= height) and not repair:
        raise DataFormatError(
            f"{place}: its centre ({x:g}, {y:g}) is outside the image of {width} x {height} pixels; was it drawn at "
            "another size? --repair clips it at the border"
        )
    return (x, y, *sizes)


def rotated_corners(left: float, top: float, right: float, bottom: float, degrees: float) -> list[tuple[float, float]]:
    """Return the corners of a box after a clockwise rotation about its centre."""
    x, y, angle = (left + right) / 2, (top + bottom) / 2, math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    return [
        (x + cosine * (column - x) - sine * (row - y), y + sine * (column - x) + cosine * (row - y))
        for column, row in ((left, top), (right, top), (right, bottom), (left, bottom))
    ]
