"""Web Mercator: bounds of grids, and rasters warped to the tiles of web maps."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from earthreason.geo.grid import GeoGrid, Window

TILE = 256
DEEPEST = 24
"""Largest zoom level of tiles."""
_MERCATOR, _DEGREES = "EPSG:3857", "EPSG:4326"
_HALF = math.pi * 6378137.0
"""Half the width of the Web Mercator plane, in metres."""
_MARGIN = 2
"""Pixels around a window that interpolation needs."""

Bounds = tuple[float, float, float, float]
"""West, south, east, north."""


@dataclass(frozen=True)
class MapArea:
    """A rectangle of the Web Mercator plane and its pixels.

    Attributes:
        bounds: metres.
        height: rows.
        width: columns.
    """

    bounds: Bounds
    height: int
    width: int


def mercator_bounds(grid: GeoGrid) -> Bounds | None:
    """Return the bounds of a grid in Web Mercator, in metres; None if it has no place on the map."""
    if grid.transform is None or grid.crs is None:
        return None
    from rasterio.warp import transform_bounds

    try:
        west, south, east, north = transform_bounds(grid.crs, _MERCATOR, *_outline(grid), densify_pts=21)
    except Exception:  # of another planet, for one, GDAL raises an error that has no public name
        return None
    west, south, east, north = (max(-_HALF, west), max(-_HALF, south), min(_HALF, east), min(_HALF, north))
    if not all(map(math.isfinite, (west, south, east, north))) or west >= east or south >= north:
        return None
    return west, south, east, north


def degrees(bounds: Bounds) -> Bounds:
    """Turn Web Mercator bounds into degrees of WGS 84; straight lines stay straight, so nothing is lost."""
    west, south, east, north = bounds

    def latitude(y: float) -> float:
        return math.degrees(2 * math.atan(math.exp(y / 6378137.0)) - math.pi / 2)

    return 180 * west / _HALF, latitude(south), 180 * east / _HALF, latitude(north)


def tile_area(zoom: int, column: int, row: int) -> MapArea | None:
    """Return the area of a map tile; None if there is no such tile."""
    count = 1 << max(0, min(zoom, DEEPEST))
    if not (0 <= zoom <= DEEPEST and 0 <= column < count and 0 <= row < count):
        return None
    side = 2 * _HALF / count
    west, north = -_HALF + column * side, _HALF - row * side
    return MapArea((west, north - side, west + side, north), TILE, TILE)


def map_area(grid: GeoGrid, most: int) -> MapArea | None:
    """Return the area of a whole grid with about its number of pixels, at most `most` a side."""
    bounds = mercator_bounds(grid)
    if bounds is None:
        return None
    across, down = bounds[2] - bounds[0], bounds[3] - bounds[1]
    pixel = max(across, down) / min(most, max(grid.height, grid.width))
    return MapArea(bounds, max(1, round(down / pixel)), max(1, round(across / pixel)))


def window_of(grid: GeoGrid, area: MapArea) -> tuple[Window, int, int] | None:
    """Return the window of a grid that an area shows, and the height and width to read it at; None outside."""
    from affine import Affine
    from rasterio.errors import RasterioError
    from rasterio.warp import transform_bounds

    if grid.transform is None or grid.crs is None:
        return None
    try:
        west, south, east, north = transform_bounds(_MERCATOR, grid.crs, *area.bounds, densify_pts=21)
    except (RasterioError, ValueError):
        return None
    if not all(map(math.isfinite, (west, south, east, north))):
        return None
    a, b, c, d, e, f = tuple(~Affine(*grid.transform))[:6]
    corners = [(x, y) for x in (west, east) for y in (south, north)]
    columns, rows = [a * x + b * y + c for x, y in corners], [d * x + e * y + f for x, y in corners]
    across, down = max(columns) - min(columns), max(rows) - min(rows)
    scale = max(1.0, min(across / area.width, down / area.height))
    margin = _MARGIN * scale
    left, top = max(0, math.floor(min(columns) - margin)), max(0, math.floor(min(rows) - margin))
    right, bottom = (
        min(grid.width, math.ceil(max(columns) + margin)),
        min(grid.height, math.ceil(max(rows) + margin)),
    )
    if left >= right or top >= bottom:
        return None
    window = Window(left, top, right - left, bottom - top)
    return window, max(1, round(window.height / scale)), max(1, round(window.width / scale))


def warp(bands: np.ndarray, grid: GeoGrid, area: MapArea, *, smooth: bool) -> np.ndarray:
    """Warp bands to an area.

    Args:
        bands: (n, height, width) uint8 on `grid`; 0 is what lies outside.
        grid: place of the bands, with transform and CRS.
        area: what to show.
        smooth: interpolate between pixels instead of taking the nearest.

    Returns:
        (n, area.height, area.width) uint8.
    """
    from affine import Affine
    from rasterio.enums import Resampling
    from rasterio.transform import from_bounds
    from rasterio.warp import reproject

    if grid.transform is None or grid.crs is None:
        raise ValueError("the grid has no place on the map")
    out = np.zeros((len(bands), area.height, area.width), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reproject(
            np.ascontiguousarray(bands),
            out,
            src_transform=Affine(*grid.transform),
            src_crs=grid.crs,
            dst_transform=from_bounds(*area.bounds, area.width, area.height),
            dst_crs=_MERCATOR,
            resampling=Resampling.bilinear if smooth else Resampling.nearest,
        )
    return out


def _outline(grid: GeoGrid) -> Bounds:
    """Return the bounds of a grid in its own CRS."""
    whole = [grid.cut(Window(x, y, 1, 1)).transform for x in (0, grid.width) for y in (0, grid.height)]
    xs = [transform[2] for transform in whole if transform is not None]
    ys = [transform[5] for transform in whole if transform is not None]
    return min(xs), min(ys), max(xs), max(ys)
