"""Polygons to pixels: a pixel belongs to a polygon if its centre lies inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError

_SLACK = 0.5
"""Pixels a point may lie outside: percentages and sub-pixel clicks at the border round so far."""
Points = Sequence[Sequence[float]]


def fill_polygon(points: Points, height: int, width: int, place: str, repair: bool = False) -> np.ndarray:
    """The (height, width) bool mask of a closed polygon of (x, y) in pixels, x to the right, y down.

    Args:
        points: at least three.
        height: of the image, pixels.
        width: of the image, pixels.
        place: where it stands, for the error.
        repair: take a self-intersecting polygon as even-odd and cut what lies outside, instead of refusing.

    Raises:
        DataFormatError: fewer than three points, not finite, outside the image, or self-intersecting.
    """
    return burn(checked_polygon(points, height, width, place, repair), height, width)


def checked_polygon(points: Points, height: int, width: int, place: str, repair: bool) -> Any:
    """The shapely geometry of such points.

    Raises:
        DataFormatError: as `fill_polygon`.
    """
    from shapely.geometry import Polygon

    try:
        array = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        raise DataFormatError(f"{place}: its points are not pairs of numbers") from None
    if array.ndim != 2 or array.shape[1:] != (2,) or len(array) < 3:
        raise DataFormatError(f"{place}: a polygon has at least three points of x and y; it has {len(array)}")
    if not np.isfinite(array).all():
        raise DataFormatError(f"{place}: a coordinate is not a finite number")
    return checked_shape(Polygon(array), height, width, place, repair)


def checked_shape(shape: Any, height: int, width: int, place: str, repair: bool) -> Any:
    """A valid geometry in pixel coordinates.

    Raises:
        DataFormatError: it is invalid or lies outside the image, and is not to be repaired.
    """
    from shapely import make_valid
    from shapely.validation import explain_validity

    if not shape.is_valid:
        if not repair:
            raise DataFormatError(
                f"{place}: {explain_validity(shape)}; redraw the shape, or use --repair to take it as even-odd"
            )
        shape = make_valid(shape)
    if shape.is_empty:
        return shape
    left, top, right, bottom = shape.bounds
    outside = left < -_SLACK or top < -_SLACK or right > width + _SLACK or bottom > height + _SLACK
    if outside and not repair:
        raise DataFormatError(
            f"{place}: reaches x {left:g} to {right:g}, y {top:g} to {bottom:g}, outside the image of {width} x "
            f"{height} pixels; was it drawn on another size? --repair cuts it at the border"
        )
    return shape


def burn(shape: Any, height: int, width: int) -> np.ndarray:
    """The (height, width) bool mask of a geometry in pixel coordinates; holes stay holes."""
    from rasterio.features import rasterize

    if shape.is_empty or shape.area == 0:
        return np.zeros((height, width), bool)
    return rasterize([shape], out_shape=(height, width), fill=0, default_value=1, dtype="uint8").astype(bool)
