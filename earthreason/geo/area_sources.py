"""Read areas of interest in the forms in which people have them: boxes, windows of pixels, GeoJSON, other layers."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError, show_value
from earthreason.plurals import count_of

if TYPE_CHECKING:
    from shapely import Geometry

WGS_84 = "OGC:CRS84"
_PIXELS = "pixels:"
_NUMBER = r"\s*[-+.\w]+\s*"
_BOX = re.compile(rf"{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}")
_LAYERS = {b"SQLite format 3\0": "GeoPackage", b"\0\0\x27\x0a": "Shapefile", b"fgb\x03": "FlatGeobuf"}
"""Formats of layers by the first bytes. Others are never tried: they may open further files and URLs."""
_POLYGONS = ("Polygon", "MultiPolygon")
_log = logging.getLogger("earthreason.geo")


@dataclass(frozen=True)
class StatedArea:
    """An area as it was given.

    Attributes:
        place: what it is called in messages.
        shape: valid polygons; x is east.
        crs: CRS in any form that pyproj reads, `scene` for that of the scene, or `pixels`.
    """

    place: str
    shape: Geometry
    crs: str


def read_area(value: str | Path | Mapping[str, Any] | Any, crs: str | None = None) -> StatedArea:
    """Read an area; `earthreason.geo.area.parse_area` describes the arguments.

    Raises:
        EarthReasonError: the value cannot be read or is not an area.
    """
    if crs is not None and crs != "scene":
        _check_crs(crs, "the CRS of the area")
    if isinstance(value, str):
        if value.startswith(_PIXELS):
            return _window(value)
        if _BOX.fullmatch(value):
            return _box(value, crs)
        if value.lstrip().startswith("{"):
            return _geojson(_json(value, "the area"), "the area", crs)
        value = Path(value)
    if isinstance(value, Path):
        return _file(value, crs)
    mapping = value if isinstance(value, Mapping) else getattr(value, "__geo_interface__", None)
    if not isinstance(mapping, Mapping):
        raise EarthReasonError(f"the area {show_value(value)} is no text, path, or GeoJSON")
    return _geojson(mapping, "the area", crs)


def _window(text: str) -> StatedArea:
    from shapely import box

    parts = text.removeprefix(_PIXELS).split(",")
    if len(parts) != 4 or not all(re.fullmatch(r"\s*-?[0-9]{1,9}\s*", part) for part in parts):
        raise EarthReasonError(f"area {text}: must be pixels:left,top,width,height in whole pixels")
    left, top, width, height = map(int, parts)
    if width < 1 or height < 1:
        raise EarthReasonError(f"area {text}: has no pixel; width and height must be at least 1")
    return StatedArea(f"area {text}", box(left, top, left + width, top + height), "pixels")


def _box(text: str, crs: str | None) -> StatedArea:
    from shapely import box

    try:
        west, south, east, north = map(float, text.split(","))
    except ValueError:
        west = south = east = north = math.nan
    if not all(map(math.isfinite, (west, south, east, north))):
        raise EarthReasonError(f"area {text}: must be four numbers: west,south,east,north")
    place = f"area {text}"
    if crs is None or _in_degrees(crs):
        if max(abs(south), abs(north)) > 90:
            raise EarthReasonError(
                f"{place}: a latitude is from -90 to 90; the order is west,south,east,north, and coordinates in other "
                "units need their CRS (--aoi-crs EPSG:CODE, or scene)"
            )
        if max(abs(west), abs(east)) > 360:
            raise EarthReasonError(f"{place}: a longitude is from -180 to 180; other units need their CRS (--aoi-crs)")
        if east < west:
            east += 360
    if east <= west or north <= south:
        raise EarthReasonError(f"{place}: has no size; the order is west,south,east,north, south below north")
    return StatedArea(place, box(west, south, east, north), crs or WGS_84)


def _in_degrees(crs: str) -> bool:
    from pyproj import CRS

    if crs == "scene":
        return False
    system = CRS.from_user_input(crs)
    return bool(system.is_geographic) and system.axis_info[0].unit_name == "degree"


def _check_crs(crs: object, place: str) -> None:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        CRS.from_user_input(crs)
    except CRSError:
        raise EarthReasonError(f"{place}: unknown CRS {show_value(crs)}; give one such as EPSG:32632") from None


def _file(path: Path, crs: str | None) -> StatedArea:
    if path.is_dir():
        raise EarthReasonError(f"the area {path} is a folder; give a file")
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        raise DataNotFoundError(
            f"there is no area file {path}; an area is also west,south,east,north or pixels:left,top,width,height"
        ) from None
    except OSError as error:
        raise DataFormatError(f"{path}: cannot be opened ({error.strerror})") from None
    if any(head.startswith(start) for start in _LAYERS):
        return _layer(path, crs)
    content = path.read_bytes()
    if not content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        raise DataFormatError(
            f"{path}: not a GeoJSON, {', '.join(list(_LAYERS.values())[:-1])} or {list(_LAYERS.values())[-1]} file; "
            "convert it first (ogr2ogr area.geojson FILE)"
        )
    return _geojson(_json(content.decode("utf-8-sig", errors="replace"), str(path)), str(path), crs)


def _json(text: str, place: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataFormatError(f"{place}: not readable as GeoJSON ({error})") from None
    if not isinstance(value, Mapping):
        raise DataFormatError(f"{place}: GeoJSON must be an object")
    return value


def _geojson(value: Mapping[str, Any], place: str, crs: str | None) -> StatedArea:
    from shapely.geometry import shape

    stated, shapes = _stated_crs(value, place) or crs or WGS_84, []
    for geometry in _geometries(value, place):
        try:
            with np.errstate(invalid="ignore"):  # numbers that are not finite are refused below
                shapes.append(shape(geometry))
        except Exception as error:  # shapely raises almost any type for coordinates that are not numbers
            raise DataFormatError(f"{place}: a geometry is not GeoJSON ({' '.join(str(error).split())})") from None
    return StatedArea(place, _joined(shapes, place), stated)


def _geometries(value: object, place: str, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield the geometries of GeoJSON; features without one are passed over, as RFC 7946 has it."""
    if not isinstance(value, Mapping) or depth > 20:
        raise DataFormatError(f"{place}: GeoJSON must have objects where it has {show_value(value)}")
    kind = value.get("type")
    if kind == "Feature":
        if value.get("geometry") is not None:
            yield from _geometries(value["geometry"], place, depth + 1)
    elif kind in ("FeatureCollection", "GeometryCollection"):
        members = value.get("features" if kind == "FeatureCollection" else "geometries")
        if not isinstance(members, list | tuple):
            raise DataFormatError(f"{place}: a {kind} without its list")
        for member in members:
            yield from _geometries(member, place, depth + 1)
    elif kind in (*_POLYGONS, "Point", "MultiPoint", "LineString", "MultiLineString", "LinearRing"):
        yield value
    else:
        raise DataFormatError(f"{place}: {show_value(kind)} is no type of GeoJSON; give a polygon")


def _stated_crs(value: Mapping[str, Any], place: str) -> str | None:
    """Return the CRS that GeoJSON of before 2016 states in its member `crs`."""
    member = value.get("crs")
    if member is None:
        return None
    named = member.get("properties") if isinstance(member, Mapping) else None
    name = named.get("name") if isinstance(named, Mapping) else None
    if not isinstance(name, str):
        raise DataFormatError(f"{place}: its member crs names no CRS; remove it if the coordinates are WGS 84")
    _check_crs(name, place)
    return name


def _layer(path: Path, crs: str | None) -> StatedArea:
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError
    from pyogrio.raw import read
    from shapely import from_wkb

    try:
        layers = [name for name, kind in pyogrio.list_layers(path) if kind is not None]
        if len(layers) != 1:
            listed = ", ".join(map(str, layers)) or "none"
            raise DataFormatError(
                f"{path}: must have one layer of polygons, not {len(layers)} ({listed}); "
                f"save it alone (ogr2ogr area.gpkg {path.name} LAYER)"
            )
        meta, _, geometries, _ = read(path, layer=layers[0], columns=[], force_2d=True)
    except (DataSourceError, DataLayerError) as error:
        raise DataFormatError(f"{path}: not readable ({' '.join(str(error).split())}); save it again") from None
    stated = meta["crs"] or crs
    if stated is None:
        raise DataFormatError(f"{path}: states no CRS; add its .prj file, or give the CRS (--aoi-crs)")
    if stated != "scene":
        _check_crs(stated, str(path))
    return StatedArea(str(path), _joined([from_wkb(content) for content in geometries if content], str(path)), stated)


def _joined(shapes: list[Any], place: str) -> Geometry:
    """Join the polygons of an area; points and lines among them are passed over, with a line in the log."""
    from shapely import force_2d, get_coordinates, is_valid_reason, union_all
    from shapely.geometry import GeometryCollection

    flat = [part for shape in shapes for part in (shape.geoms if isinstance(shape, GeometryCollection) else [shape])]
    polygons = [force_2d(shape) for shape in flat if shape.geom_type in _POLYGONS and not shape.is_empty]
    if not polygons:
        kinds = ", ".join(sorted({shape.geom_type for shape in flat if not shape.is_empty})) or "nothing"
        raise DataFormatError(f"{place}: an area needs polygons, but it has {kinds}")
    if len(polygons) < len(flat):
        _log.warning("%s: only polygons are used: %d of %s", place, len(polygons), count_of(len(flat), "shape"))
    for polygon in polygons:
        if not np.isfinite(get_coordinates(polygon)).all():
            raise DataFormatError(f"{place}: a coordinate is not a finite number")
        if not polygon.is_valid:
            raise DataFormatError(
                f"{place}: a polygon is not valid ({is_valid_reason(polygon)}); repair it "
                "(ogr2ogr -makevalid, or Fix geometries in QGIS)"
            )
        if polygon.area == 0:
            raise DataFormatError(f"{place}: a polygon has no size")
    return union_all(polygons)
