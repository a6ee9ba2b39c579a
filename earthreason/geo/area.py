"""Areas of interest (AOI): the part of a scene that is asked about."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earthreason.errors import EarthReasonError
from earthreason.geo.area_sources import StatedArea, read_area
from earthreason.geo.grid import GeoGrid, Window

if TYPE_CHECKING:
    from shapely import Geometry

_SIDE_POINTS = 33
_FINENESS = 512  # parts of the scene's diagonal that edges are cut into before they are projected
_MARGIN = 0.05
_CHECKED_AT_ONCE = 4 << 20  # pixels


@dataclass(frozen=True)
class Area:
    """A part of a scene.

    Attributes:
        grid: grid of the scene.
        shape: polygons in pixels of the grid: x is the column and y the row of corners; they may reach beyond it.
        window: smallest window of the scene that holds it.
    """

    grid: GeoGrid
    shape: Geometry
    window: Window

    def inside(self, window: Window) -> np.ndarray | None:
        """Tell which pixels of a window have their centre in the area.

        Returns:
            (height, width) bool, or None if all have.
        """
        from rasterio.features import rasterize
        from rasterio.transform import Affine

        size = (window.height, window.width)
        # Rasterising by GDAL takes a pixel to be inside if its centre is.
        placed = Affine(1.0, 0.0, window.left, 0.0, 1.0, window.top)
        marked: np.ndarray = rasterize([(self.shape, 1)], size, transform=placed, dtype="uint8") > 0
        return None if marked.all() else marked

    def on(self, grid: GeoGrid) -> Area:
        """Return the same area on another grid of the same place, such as `GeoGrid.resized` returns.

        Raises:
            EarthReasonError: no pixel of that grid has its centre in the area.
        """
        from shapely import transform

        scale = np.array([grid.width / self.grid.width, grid.height / self.grid.height])
        return _area(transform(self.shape, lambda points: points * scale), grid, "the area")


def parse_area(value: str | Path | Mapping[str, Any] | Any, grid: GeoGrid, crs: str | None = None) -> Area:
    """Read an area of interest.

    Args:
        value: one of these:
            - bounding box `west,south,east,north`, in degrees of WGS 84, unless `crs` states something else; a west
              that is larger than the east crosses the antimeridian;
            - `pixels:left,top,width,height`, a window of the scene;
            - path of a GeoJSON, GeoPackage, Shapefile or FlatGeobuf file with polygons;
            - GeoJSON as a mapping, or an object with `__geo_interface__`, such as a polygon of shapely.
        grid: grid of the scene.
        crs: CRS of coordinates that do not state their own, such as EPSG:32632, or `scene` for that of the scene.

    Raises:
        EarthReasonError: the value cannot be read, is not an area, or shares no pixel with the scene.
    """
    stated = read_area(value, crs)
    shape = stated.shape if stated.crs == "pixels" else _in_pixels(stated, grid)
    return _area(shape, grid, stated.place)


def _area(shape: Geometry, grid: GeoGrid, place: str) -> Area:
    from shapely import box

    shape = shape.intersection(box(0, 0, grid.width, grid.height))
    if shape.is_empty or shape.area == 0:
        raise EarthReasonError(f"{place} is outside the scene, which has {grid.width} x {grid.height} pixels")
    left, top, right, bottom = shape.bounds
    # An edge that projecting moved by a billionth of a pixel must not add a row of pixels.
    column, row = math.floor(left + 1e-6), math.floor(top + 1e-6)
    window = Window(column, row, math.ceil(right - 1e-6) - column, math.ceil(bottom - 1e-6) - row)
    area = Area(grid, shape, window)
    if window.width * window.height <= _CHECKED_AT_ONCE:
        inside = area.inside(window)
        if inside is not None and not inside.any():
            raise EarthReasonError(f"{place} is smaller than a pixel: no pixel has its centre there; make it larger")
    return area


def _in_pixels(stated: StatedArea, grid: GeoGrid) -> Geometry:
    from pyproj.exceptions import ProjError
    from shapely.affinity import affine_transform

    if grid.transform is None:
        raise EarthReasonError(
            f"{stated.place}: the scene states no place on Earth; give the area as pixels:left,top,width,height"
        )
    try:
        placed = stated.shape if stated.crs == "scene" else _in_scene_crs(stated, grid)
    except ProjError as error:  # a local CRS, such as that of a building site
        raise EarthReasonError(
            f"{stated.place}: cannot be expressed in the CRS of the scene ({' '.join(str(error).split())}); "
            "give it in the scene's own units (--aoi-crs scene)"
        ) from None
    a, b, c, d, e, f = grid.transform
    size = a * e - b * d
    inverse = (e / size, -b / size, -d / size, a / size, (b * f - c * e) / size, (c * d - a * f) / size)
    shape = affine_transform(placed, inverse)
    left, top, right, bottom = shape.bounds
    if not (left < grid.width and top < grid.height and right > 0 and bottom > 0):
        raise _outside(stated.place, placed.bounds, _outline(grid), "in the CRS of the scene")
    return shape


def _in_scene_crs(stated: StatedArea, grid: GeoGrid) -> Geometry:
    """Project the part of an area near the scene; its edges are cut, because straight ones become curves."""
    from pyproj import CRS, Transformer
    from shapely import box, segmentize, transform

    if grid.crs is None:
        raise EarthReasonError(
            f"{stated.place}: the scene states no CRS; give the area in the scene's own units (--aoi-crs scene) or as "
            "pixels:left,top,width,height"
        )
    own, target = CRS.from_user_input(stated.crs), CRS.from_user_input(grid.crs)
    turn, target_turn = _turn(own), _turn(target)
    points = _all_over(grid)
    outline = np.asarray(Transformer.from_crs(target, own, always_xy=True).transform(*points.T)).T
    known = np.isfinite(outline).all(axis=1)
    if not known.any():
        raise EarthReasonError(f"{stated.place}: the scene lies outside the domain of its CRS or of {own.name}")
    centre = outline[len(outline) // 2 if known[len(outline) // 2] else known.argmax(), 0]
    if turn is not None:  # longitudes that run on over the antimeridian
        near_to = centre if target_turn is None else points[:, 0] / target_turn * turn
        outline[:, 0] += np.round((near_to - outline[:, 0]) / turn) * turn
    (west, south), (east, north) = outline[known].min(axis=0), outline[known].max(axis=0)
    margin = _MARGIN * max(east - west, north - south)
    near = box(west - margin, south - margin, east + margin, north + margin)
    if turn is not None and target_turn is None:
        if pole := _pole(own, target, grid, turn):
            near = box(
                centre - turn / 2, -turn / 4 if pole < 0 else south, centre + turn / 2, turn / 4 if pole > 0 else north
            )
        elif (seam := _seam(own, target, centre, (south + north) / 2, turn)) is not None:
            near = near.intersection(box(seam, -turn, seam + turn, turn))
    shape = _turned_copies(stated.shape, near, turn) if turn is not None else stated.shape.intersection(near)
    if shape.is_empty:
        raise _outside(stated.place, stated.shape.bounds, (west, south, east, north), f"in {own.name}", stated.shape)
    shape = segmentize(shape, math.hypot(east - west, north - south) / _FINENESS)
    if own.equals(target, ignore_axis_order=True):
        return shape
    forth = Transformer.from_crs(own, target, always_xy=True)

    def project(points: np.ndarray) -> np.ndarray:
        placed = np.asarray(forth.transform(*points.T)).T
        if turn is not None and target_turn is not None:  # PROJ may turn back what runs on over the antimeridian
            wanted = points[:, 0] / turn * target_turn
            placed[:, 0] += np.round((wanted - placed[:, 0]) / target_turn) * target_turn
        return placed

    projected = transform(shape, project)
    if not np.isfinite(projected.bounds).all():
        raise EarthReasonError(f"{stated.place}: cannot be expressed in the CRS of the scene, {target.name}")
    return projected if projected.is_valid else projected.buffer(0)  # rounding can make edges that meet cross


def _turn(crs: Any) -> float | None:
    """Return what a turn around the globe is in units of a geographic CRS, such as 360; None for other CRSs."""
    return 2 * math.pi / crs.axis_info[0].unit_conversion_factor if crs.is_geographic else None


def _pole(own: Any, target: Any, grid: GeoGrid, turn: float) -> int:
    """Return 1 or -1 if the north or south pole is in the scene, else 0."""
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    assert grid.transform is not None
    a, b, c, d, e, f = grid.transform
    for pole in (1, -1):
        try:
            x, y = Transformer.from_crs(own, target, always_xy=True).transform(0.0, pole * turn / 4)
        except ProjError:
            continue
        column, row = np.linalg.solve([[a, b], [d, e]], [x - c, y - f]) if np.isfinite([x, y]).all() else (-1, -1)
        if 0 <= column <= grid.width and 0 <= row <= grid.height:
            return pole
    return 0


def _seam(own: Any, target: Any, centre: float, latitude: float, turn: float) -> float | None:
    """Return the longitude west of `centre` at which a projection cuts the globe open; None if it does not.

    What is beyond it is on the other side of the map.
    """
    from pyproj import Transformer

    operation = target.coordinate_operation
    stated = [item.value for item in operation.params if "longitude" in item.name.casefold()] if operation else []
    if not stated:
        return None
    seam: float = (stated[0] / 360 - 0.5) * turn
    seam += math.floor((centre - seam) / turn) * turn
    step = turn * 1e-6
    east, west = np.asarray(
        Transformer.from_crs(own, target, always_xy=True).transform([seam + step, seam - step], [latitude, latitude])
    )[0]
    return seam if abs(east - west) > 1_000 * step / turn * target.ellipsoid.semi_major_metre * 2 * math.pi else None


def _turned_copies(shape: Geometry, near: Geometry, turn: float) -> Geometry:
    from shapely import union_all
    from shapely.affinity import translate

    return union_all([translate(shape, times * turn).intersection(near) for times in (-2, -1, 0, 1, 2)])


def _all_over(grid: GeoGrid) -> np.ndarray:
    """Return (n, 2) world coordinates of points all over a grid and on its outline."""
    assert grid.transform is not None
    a, b, c, d, e, f = grid.transform
    across, down = np.linspace(0, grid.width, _SIDE_POINTS), np.linspace(0, grid.height, _SIDE_POINTS)
    columns, rows = (numbers.ravel() for numbers in np.meshgrid(across, down))
    return np.stack([a * columns + b * rows + c, d * columns + e * rows + f], axis=1)


def _outline(grid: GeoGrid) -> tuple[float, float, float, float]:
    points = _all_over(grid)
    return (*points.min(axis=0), *points.max(axis=0))


def _outside(
    place: str,
    bounds: tuple[float, float, float, float],
    scene: tuple[float, float, float, float],
    units: str,
    shape: Geometry | None = None,
) -> EarthReasonError:
    west, south, east, north = bounds
    swapped = south < scene[2] and west < scene[3] and north > scene[0] and east > scene[1]
    hint = "; longitude and latitude seem to be swapped" if shape is not None and swapped else ""
    extents = f"({_extent(bounds)}) is outside the scene ({_extent(scene)})"
    return EarthReasonError(f"{place} {extents}, as west, south, east, north {units}{hint}")


def _extent(bounds: tuple[float, float, float, float]) -> str:
    return ", ".join(f"{number:.10g}" for number in bounds)
