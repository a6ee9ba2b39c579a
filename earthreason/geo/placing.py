"""Where a raster file says that its pixels lie."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from earthreason.errors import DataFormatError
from earthreason.geo.grid import GeoGrid, Transform
from earthreason.plurals import count_of

if TYPE_CHECKING:
    from rasterio.control import GroundControlPoint
    from rasterio.io import DatasetReader

MOST_OFF = 0.5
"""Most pixels that a ground control point may be off the straight grid through all of them."""
_log = logging.getLogger("earthreason.geo")


def grid_of(source: DatasetReader, place: str) -> GeoGrid:
    """Return the grid of an opened raster.

    GDAL gives pixel corners for pixel-is-point rasters and world files too. Ground control points are replaced by the
    straight grid through them if it fits. What is missing is said in the log.

    Args:
        source: opened raster.
        place: file, for messages.

    Raises:
        DataFormatError: the transform is not that of a grid, or no straight grid fits the ground control points.
    """
    from rasterio import Affine

    crs = source.crs.to_wkt() if source.crs else None
    if source.transform != Affine.identity():
        transform = _checked(tuple(source.transform)[:6], place)
    else:
        points, system = source.gcps
        if not points:
            _warn_unplaced(source, crs, place)
            return GeoGrid(source.height, source.width)
        transform, crs = _through(points, place), system.to_wkt() if system else crs
    if crs is None:
        _log.warning(
            "%s: states where its pixels lie, but in no CRS, so outputs have none and no areas; "
            "state it first (gdal_edit.py -a_srs EPSG:CODE)",
            place,
        )
    return GeoGrid(source.height, source.width, transform, crs)


def _checked(numbers: tuple[float, ...], place: str) -> Transform:
    a, b, c, d, e, f = numbers
    if not all(map(math.isfinite, numbers)) or a * e == b * d or not math.isfinite(a * e - b * d):
        raise DataFormatError(
            f"{place}: its transform {', '.join(f'{number:g}' for number in numbers)} is not that of a grid; "
            "correct it (gdal_edit.py -a_ullr LEFT TOP RIGHT BOTTOM)"
        )
    return a, b, c, d, e, f


def _through(points: list[GroundControlPoint], place: str) -> Transform:
    from rasterio.transform import from_gcps

    fitted = from_gcps(points) if len(points) > 2 else None
    if fitted is None or fitted.determinant == 0 or not all(map(math.isfinite, fitted)):
        raise DataFormatError(
            f"{place}: no grid is placed by {count_of(len(points), 'ground control point')}; warp it first with "
            "more of them (gdalwarp)"
        )
    a, b, c, d, e, f = tuple(~fitted)[:6]
    off = max(
        math.dist((a * point.x + b * point.y + c, d * point.x + e * point.y + f), (point.col, point.row))
        for point in points
    )
    if off > MOST_OFF:
        raise DataFormatError(
            f"{place}: no straight grid fits its {len(points)} ground control points (off by up to {off:.3g} pixels); "
            f"warp it first (gdalwarp {place} warped.tif)"
        )
    _log.info("%s: placed by %d ground control points, off by at most %.2g pixels", place, len(points), off)
    return _checked(tuple(fitted)[:6], place)


def _warn_unplaced(source: DatasetReader, crs: str | None, place: str) -> None:
    if source.rpcs is not None:
        _log.warning(
            "%s: placed by RPCs only, which are not used, so outputs have no coordinates; "
            "orthorectify it first (gdalwarp -rpc)",
            place,
        )
    elif crs is not None:
        _log.warning(
            "%s: states a CRS, but not where its pixels lie, so outputs have no coordinates; "
            "a world file beside it may be missing",
            place,
        )
