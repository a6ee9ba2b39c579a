"""Ground sample distance (GSD) of a raster: the side of a pixel on the ground, in metres."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from earthreason.geo.grid import GeoGrid


def ground_resolution(grid: GeoGrid) -> float | None:
    """Return the GSD of a grid in metres per pixel, as `pixel_size` computes it; None if it is not known."""
    return pixel_size(grid.transform, grid.crs, grid.height, grid.width)


def pixel_size(transform: Sequence[float] | None, crs: str | None, height: int, width: int) -> float | None:
    """Compute the GSD in metres per pixel: the square root of the area of the central pixel on the ellipsoid.

    The distortion of the projection is taken into account: a metre in EPSG:3857 is half a metre at 60 degrees north.

    Args:
        transform: a, b, c, d, e, f of the pixel-to-world transform.
        crs: coordinate reference system; the units of one without a geodetic base are used as they are.
        height: height of the image, pixels.
        width: width of the image, pixels.

    Returns:
        The GSD to six significant digits; None if the place is unknown or outside the domain of the CRS.
    """
    from pyproj import CRS, Transformer

    if transform is None or crs is None:
        return None
    a, b, c, d, e, f = transform
    system = CRS.from_user_input(crs)
    globe, geod = system.geodetic_crs, system.get_geod()
    if globe is None or geod is None:
        return _significant(math.sqrt(abs(a * e - b * d)) * system.axis_info[0].unit_conversion_factor)
    x, y = a * width / 2 + b * height / 2 + c, d * width / 2 + e * height / 2 + f
    corners = Transformer.from_crs(system, globe, always_xy=True).transform([x, x + a, x + b], [y, y + d, y + e])
    (east, *easts), (north, *norths) = np.degrees(np.asarray(corners) * globe.axis_info[0].unit_conversion_factor)
    if not np.isfinite([east, north, *easts, *norths]).all():
        return None
    azimuths, _, (right, down) = geod.inv([east, east], [north, north], easts, norths)
    return _significant(math.sqrt(right * down * abs(math.sin(math.radians(azimuths[1] - azimuths[0])))))


def _significant(value: float) -> float:
    return float(f"{value:.6g}")
