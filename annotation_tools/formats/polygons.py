"""Rasterise polygons: a pixel belongs to a polygon if its centre is inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError

_SLACK = 0.5
"""Distance in pixels by which a point may be outside, because of rounded percentages or clicks on the border."""
Points = Sequence[Sequence[float]]


def fill_polygon(points: Points, height: int, width: int, place: str, repair: bool = False) -> np.ndarray:
    """Fill a polygon; return a (height, width) bool mask.

    Args:
        points: at least three corners (x, y) in pixels, x to the right, y down.
        height: height of the image, pixels.
        width: width of the image, pixels.
        place: location for error messages.
        repair: fill a self-intersecting polygon even-odd and clip it at the image border instead of refusing it.

    Raises:
        DataFormatError: the polygon has fewer than three points, is not finite, outside the image or self-intersecting.
    """
    return burn(checked_polygon(points, height, width, place, repair), height, width)


def checked_polygon(points: Points, height: int, width: int, place: str, repair: bool) -> Any:
    """Convert the corners of a polygon to a shapely geometry; arguments and errors are those of `fill_polygon`."""
    from shapely.geometry import Polygon

    try:
        array = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        raise DataFormatError(f"{place}: the points are not pairs of numbers") from None
    if array.ndim != 2 or array.shape[1:] != (2,) or len(array) < 3:
        raise DataFormatError(f"{place}: a polygon needs at least three points of x and y; this one has {len(array)}")
    if not np.isfinite(array).all():
        raise DataFormatError(f"{place}: a coordinate is not a finite number")
    return checked_shape(Polygon(array), height, width, place, repair)


def checked_shape(shape: Any, height: int, width: int, place: str, repair: bool) -> Any:
    """Check a geometry in pixel coordinates, and make it valid if `repair` is set.

    Raises:
        DataFormatError: the geometry is invalid or outside the image, and `repair` is not set.
    """
    from shapely import make_valid
    from shapely.validation import explain_validity

    if not shape.is_valid:
        if not repair:
            raise DataFormatError(
                f"{place}: {explain_validity(shape)}; redraw the shape, or use --repair to fill it even-odd"
            )
        shape = make_valid(shape)
    if shape.is_empty:
        return shape
    left, top, right, bottom = shape.bounds
    outside = left < -_SLACK or top < -_SLACK or right > width + _SLACK or bottom > height + _SLACK
    if outside and not repair:
        raise DataFormatError(
            f"{place}: extends over x {left:g} to {right:g}, y {top:g} to {bottom:g}, outside the image of {width} x "
            f"{height} pixels; was it drawn at another size? --repair clips it at the border"
        )
    return shape


def burn(shape: Any, height: int, width: int) -> np.ndarray:
    """Rasterise a geometry in pixel coordinates, with its holes, into a (height, width) bool mask."""
    from rasterio.features import rasterize

    if shape.is_empty or shape.area == 0:
        return np.zeros((height, width), bool)
    return rasterize([shape], out_shape=(height, width), fill=0, default_value=1, dtype="uint8").astype(bool)
