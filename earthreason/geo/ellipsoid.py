"""Measure on the ellipsoid of a CRS, and bring polygons from one CRS to another."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from earthreason.errors import EarthReasonError
from earthreason.geo.grid import GeoGrid

if TYPE_CHECKING:
    from pyproj import CRS, Geod

WGS84 = "OGC:CRS84"
"""Longitude and latitude in degrees, in this order."""
_LONGEST_EDGE = 1_000.0
"""Metres of an edge before it gets more corners, because a straight line of one CRS is bent in another."""
_LONGEST_MEASURED = 200.0
"""The same, for areas."""
_RADIUS = 6_371_000.0
_EDGES_PER_EXTENT = 1_000
"""An edge need not be shorter than this part of its polygon."""
_CHUNK = 10_000


def geodesic_areas(polygons: np.ndarray, crs: str | None) -> np.ndarray | None:
    """Return (n,) float64 areas in square metres on the ellipsoid of the CRS; None if the CRS has no ellipsoid.

    Small polygons are measured in the ellipsoid's cylindrical equal-area projection. Geodesics, which measure the wide
    ones and those at the poles and the antimeridian, are a hundred times slower, and round areas to 0.00001 m².

    Args:
        polygons: (n,) shapely polygons in the CRS. Their edges are straight lines in this CRS.
        crs: CRS as WKT.
    """
    import shapely

    globe = _Globe.of(crs)
    if globe is None or crs is None:
        return None
    areas = np.zeros(len(polygons))
    for begin in range(0, len(polygons), _CHUNK):
        here = areas[begin : begin + _CHUNK]
        chunk = shapely.transform(densify(polygons[begin : begin + _CHUNK], crs, _LONGEST_MEASURED), globe.degrees)
        west, south, east, north = shapely.bounds(chunk).T
        flat = (east - west < 1) & (south > -89) & (north < 89)
        here[flat] = shapely.area(shapely.transform(chunk[flat], globe.equal_area))
        here[~flat] = [
            abs(globe.geod.geometry_area_perimeter(polygon)[0]) for polygon in shapely.orient_polygons(chunk[~flat])
        ]
    return areas


def ground_pixel_size(grid: GeoGrid) -> tuple[float, float] | None:
    """Return the metres on the ground from the central pixel to the next in the row and in the column.

    None without a transform or without a CRS on an ellipsoid.
    """
    globe = _Globe.of(grid.crs)
    if globe is None or grid.transform is None:
        return None
    a, b, c, d, e, f = grid.transform
    column, row = grid.width / 2, grid.height / 2
    steps = np.array([(column, row), (column + 1, row), (column, row + 1)])
    points = globe.degrees(np.stack([steps @ (a, b) + c, steps @ (d, e) + f], axis=1))
    across = globe.geod.inv(*points[0], *points[1])[2]
    down = globe.geod.inv(*points[0], *points[2])[2]
    return (across, down) if across > 0 and down > 0 else None


def densify(polygons: np.ndarray, crs: str, metres: float) -> np.ndarray:
    """Return polygons with corners added on edges that are longer than asked, and than a thousandth of the polygon."""
    import shapely
    from pyproj import CRS

    if not len(polygons):
        return polygons
    axis = CRS.from_user_input(crs).axis_info[0]
    longest = metres / (axis.unit_conversion_factor or 1.0)
    if axis.unit_conversion_factor and CRS.from_user_input(crs).is_geographic:
        longest = metres / _RADIUS / axis.unit_conversion_factor
    left, bottom, right, top = shapely.bounds(polygons).T
    longest = np.maximum(longest, np.hypot(right - left, top - bottom) / _EDGES_PER_EXTENT)
    if shapely.is_empty(polygons).any() or (shapely.get_type_id(polygons) != shapely.GeometryType.POLYGON).any():
        return shapely.segmentize(polygons, longest)
    # Ring by ring, because GEOS checks whole polygons, in a time that grows with the square of their holes.
    rings, owners = shapely.get_rings(polygons, return_index=True)
    return shapely.polygons(shapely.segmentize(rings, longest[owners]), indices=owners)


def is_on_earth(crs: str | None) -> bool:
    """Tell whether positions in a CRS can be given as longitude and latitude; not for none or a local CRS."""
    return _Globe.of(crs) is not None


def transform_polygons(polygons: np.ndarray, source: str, target: str) -> np.ndarray:
    """Return (n,) polygons in another CRS. Long edges get more corners, so that they stay where they were.

    Raises:
        EarthReasonError: there is no transformation, or a position lies outside the target.
    """
    import shapely
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    try:
        transformer = Transformer.from_crs(source, target, always_xy=True)
    except ProjError as error:
        raise EarthReasonError(f"cannot transform the polygons to {target[:60]!r}: {error}") from error
    dense = densify(polygons, source, _LONGEST_EDGE)
    moved = shapely.transform(dense, lambda points: np.stack(transformer.transform(*points.T), axis=1))
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise EarthReasonError(f"some polygons lie outside the area of {target[:60]!r}; choose another CRS")
    return shapely.orient_polygons(moved)


def geographic_polygons(polygons: np.ndarray, crs: str) -> np.ndarray:
    """Return polygons in longitude and latitude of WGS 84, cut at the antimeridian, outlines counterclockwise.

    Raises:
        EarthReasonError: the CRS has no place on the Earth.
    """
    import shapely

    if not is_on_earth(crs):
        raise EarthReasonError("the CRS has no place on the Earth; write a .gpkg, which keeps any CRS")
    if not len(polygons):
        return polygons
    moved = transform_polygons(polygons, crs, WGS84)
    left, _, right, _ = shapely.bounds(moved).T
    for index in np.flatnonzero((left < -180) | (right > 180) | (right - left > 180)):
        moved[index] = _cut_at_antimeridian(moved[index])
    return moved


def _cut_at_antimeridian(polygon: object) -> object:
    """Cut a polygon whose neighbouring corners lie less than 180 degrees apart, also one around a pole."""
    import shapely

    outline, *holes = [_unwrap(shapely.get_coordinates(ring)) for ring in shapely.get_rings(polygon)]
    middle = (outline[:, 0].min() + outline[:, 0].max()) / 2
    for hole in holes:
        hole[:, 0] -= 360 * round((hole[:, 0].mean() - middle) / 360)
    whole = shapely.Polygon(outline)
    if holes:
        whole = shapely.difference(whole, shapely.union_all([shapely.make_valid(shapely.Polygon(h)) for h in holes]))
    whole = shapely.make_valid(whole)
    left, _, right, _ = whole.bounds
    parts: list[object] = []
    for turn in range(math.floor((left + 180) / 360), math.ceil((right + 180) / 360)):
        part = shapely.intersection(whole, shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90))
        part = shapely.transform(part, lambda points, turn=turn: points - (360 * turn, 0))
        parts += [piece for piece in shapely.get_parts(part) if piece.geom_type == "Polygon"]
    return shapely.orient_polygons(parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts))


def _unwrap(ring: np.ndarray) -> np.ndarray:
    """Return a closed ring (n, 2) whose longitudes do not jump; one around a pole is closed along it."""
    ring = ring.copy()
    ring[:, 0] = np.unwrap(ring[:, 0], period=360)
    turn = ring[-1, 0] - ring[0, 0]
    if abs(turn) > 180:
        pole = math.copysign(90, ring[:, 1].mean())
        ring = np.concatenate([ring, [(ring[-1, 0], pole), (ring[0, 0], pole)], ring[:1]])
    return ring


class _Globe:
    """The geographic CRS below a CRS."""

    def __init__(self, crs: CRS, geographic: CRS, geod: Geod) -> None:
        from pyproj import Transformer

        self.geod = geod
        self._transformer = Transformer.from_crs(crs, geographic, always_xy=True)
        self._degrees = math.degrees(geographic.axis_info[0].unit_conversion_factor)

    @classmethod
    def of(cls, crs: str | None) -> _Globe | None:
        from pyproj import CRS, Geod
        from pyproj.exceptions import ProjError

        if crs is None:
            return None
        try:
            flat = CRS.from_user_input(crs).to_2d()
            geographic = flat.geodetic_crs
            if geographic is None or not (flat.is_geographic or flat.is_projected):
                return None
            return cls(flat, geographic.to_2d(), geographic.get_geod() or Geod(ellps="WGS84"))
        except ProjError:
            return None

    def degrees(self, points: np.ndarray) -> np.ndarray:
        """Return (n, 2) longitudes and latitudes in degrees of (n, 2) points."""
        return np.stack(self._transformer.transform(*points.T), axis=1) * self._degrees

    def equal_area(self, points: np.ndarray) -> np.ndarray:
        """Return (n, 2) metres in the cylindrical equal-area projection of (n, 2) degrees."""
        eccentricity = math.sqrt(self.geod.es)
        sine = np.sin(np.radians(points[:, 1]))
        x = self.geod.a * np.radians(points[:, 0])
        if eccentricity == 0:
            return np.stack([x, self.geod.a * sine], axis=1)
        bent = sine / (1 - self.geod.es * sine**2) + np.arctanh(eccentricity * sine) / eccentricity
        return np.stack([x, self.geod.a * (1 - self.geod.es) / 2 * bent], axis=1)
