"""Read the features of vector files: shapes with an area, in the CRS of their layer, with their labels."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError
from earthreason.plurals import count_of

from .source import Source

LABEL_FIELDS = ("category", "label", "class", "name")
"""Fields that may hold the category of a feature, in any case; the first one present counts."""
TASK_FIELD = "sample_id"
"""Field of our own exports that holds the task of a feature."""
ALL_LAYERS = "*"
_GEOMETRIES = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection")
GEOJSON_TYPES = frozenset({"FeatureCollection", "Feature", *_GEOMETRIES})
_STARTS = {".gpkg": b"SQLite format 3\0", ".shp": b"\0\0\x27\x0a", ".fgb": b"fgb\x03"}
"""First bytes by suffix. GDAL goes by the content: another one may be of a driver that opens further files and URLs."""
_KINDS = {"Point": "points", "MultiPoint": "points", "LineString": "lines", "MultiLineString": "lines"}


@dataclass(frozen=True)
class Feature:
    """A feature with an area.

    Attributes:
        label: what it shows, None if not stated.
        task: task that an export of ours names, None in other files.
        shape: shapely Polygon or MultiPolygon in the CRS of the layer, two-dimensional.
        place: layer and number, for messages.
    """

    label: str | None
    task: str | None
    shape: Any
    place: str


@dataclass(frozen=True)
class Layer:
    """A layer of a vector file: its name, the pyproj CRS, its features, and the number of those left out by kind."""

    name: str
    crs: Any
    features: list[Feature]
    skipped: Counter[str]


def read_layers(source: Source) -> list[Layer]:
    """Read the layers of a vector file that have areas, as chosen by `--layer`.

    Raises:
        DataFormatError: the file is not readable, has several layers and none is chosen, lacks the layer or field, has
            no area, or states no CRS.
    """
    path, shown, options = source.path, source.shown, source.options
    _check_content(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # GDAL's remarks about details that it reads well enough
        names = _spatial_layers(path, shown)
        if options.layer not in (None, ALL_LAYERS):
            names = [_named(options.layer, names, "layer", shown)]
        fields = {name: _fields(path, name, shown) for name in names}
        if options.label_field and not any(_found(options.label_field, of_layer) for of_layer in fields.values()):
            known = sorted({field for of_layer in fields.values() for field in of_layer})
            raise DataFormatError(f"{shown}: no field {options.label_field!r}; fields: {', '.join(known) or 'none'}")
        several = len(names) > 1
        layers = [_read_layer(source, name, fields[name], several) for name in names]
    with_areas = [layer for layer in layers if layer.features]
    if not with_areas:
        skipped = sum((layer.skipped for layer in layers), Counter[str]())
        listed = ", ".join(f"{count} {kind}" for kind, count in skipped.items()) or "it is empty"
        raise DataFormatError(f"{shown}: no feature has an area ({listed}); buffer points and lines to polygons first")
    if len(with_areas) > 1 and options.layer is None:
        listed = ", ".join(f"{layer.name!r} ({count_of(len(layer.features), 'polygon')})" for layer in with_areas)
        raise DataFormatError(f"{shown}: several layers: {listed}; choose one with --layer, or all with --layer '*'")
    return layers


def _check_content(source: Source) -> None:
    path, shown = source.path, source.shown
    if source.suffix in (".json", ".geojson"):
        kind = source.document.get("type") if isinstance(source.document, dict) else type(source.document).__name__
        if kind not in GEOJSON_TYPES:
            raise DataFormatError(f"{shown}: not GeoJSON: its type is {kind!r}")
        return
    with path.open("rb") as file:
        head = file.read(4096)
    if source.suffix == ".kml":
        is_right = b"<kml" in head.lower() and b"<!doctype" not in head.lower()
    else:
        is_right = head.startswith(_STARTS[source.suffix])
    if not is_right:
        raise DataFormatError(f"{shown}: its content is not that of a {source.suffix} file; was it renamed or damaged?")


def _spatial_layers(path: Path, shown: str) -> list[str]:
    import pyogrio

    try:
        return [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError, RuntimeError) as error:
        hint = "; copy the .shx file that belongs to it beside it" if ".shx" in str(error) else ""
        raise DataFormatError(f"{shown}: not a vector file that GDAL reads ({_line(error)}){hint}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _found(wanted: str, names: Sequence[str]) -> str | None:
    """Return the name that is the wanted one, or else the first that differs from it only in case."""
    if wanted in names:
        return wanted
    return next((name for name in names if name.casefold() == wanted.casefold()), None)


def _named(wanted: str | None, names: Sequence[str], kind: str, shown: str) -> str:
    found = _found(wanted or "", names)
    if found is None:
        raise DataFormatError(f"{shown}: no {kind} {wanted!r}; {kind}s: {', '.join(map(repr, names)) or 'none'}")
    return found


def _fields(path: Path, layer: str, shown: str) -> list[str]:
    import pyogrio

    try:
        return [str(field) for field in pyogrio.read_info(path, layer=layer, **_encoding(path, "UTF-8"))["fields"]]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError, RuntimeError) as error:
        raise DataFormatError(f"{shown}: layer {layer!r} is not readable ({_line(error)})") from None


def _encoding(path: Path, name: str) -> dict[str, str]:
    """Return the encoding to read a Shapefile with; others state theirs, as do those with a `.cpg` file."""
    states_it = path.suffix.lower() != ".shp" or any(path.with_suffix(end).is_file() for end in (".cpg", ".CPG"))
    return {} if states_it else {"encoding": name}


def _read_layer(source: Source, name: str, fields: list[str], several: bool) -> Layer:
    options = source.options
    in_layer = f"layer {name!r}, " if several else ""
    usual = [] if options.label_field is not None else [_found(field, fields) for field in LABEL_FIELDS]
    chosen = _found(options.label_field, fields) if options.label_field else next(filter(None, usual), None)
    task_field = TASK_FIELD if TASK_FIELD in fields else None
    columns = [field for field in (chosen, task_field) if field is not None]
    meta, geometries, values = _raw(source, name, columns)
    found = [str(field) for field in meta["fields"]]
    by_field = dict(zip(found, values, strict=True))
    nothing = [None] * len(geometries)
    labels, tasks = (by_field.get(field, nothing) if field else nothing for field in (chosen, task_field))
    features: list[Feature] = []
    skipped: Counter[str] = Counter()
    for number, (content, label, task) in enumerate(zip(geometries, labels, tasks, strict=True), start=1):
        place = f"{in_layer}feature {number}"
        shape = _area(content, skipped, f"{source.shown}, {place}")
        if shape is not None:
            text = _text(label) or (name if several and chosen is None else None)
            features.append(Feature(text, _text(task), shape, place))
    crs = _crs(source, meta.get("crs"), features) if features else None
    return Layer(name, crs, features, skipped)


def _raw(source: Source, layer: str, columns: list[str]) -> tuple[Any, Any, Any]:
    import pyogrio

    for encoding in ("UTF-8", "ISO-8859-1"):
        try:
            meta, _, geometries, values = pyogrio.raw.read(
                source.path, layer=layer, columns=columns, force_2d=True, **_encoding(source.path, encoding)
            )
        except UnicodeDecodeError:
            continue
        except (
            pyogrio.errors.DataSourceError,
            pyogrio.errors.DataLayerError,
            pyogrio.errors.GeometryError,
            ValueError,
            RuntimeError,
        ) as error:
            raise DataFormatError(f"{source.shown}: layer {layer!r} is not readable ({_line(error)})") from None
        if geometries is None:
            return meta, [], values
        return meta, geometries, values
    raise DataFormatError(f"{source.shown}: its texts have an unknown encoding; name it in a .cpg file")


def _text(value: object) -> str | None:
    """Return a label as text; whole numbers without decimals."""
    if value is None or (isinstance(value, float | np.floating) and not np.isfinite(value)):
        return None
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip() or None


def _area(content: bytes | None, skipped: Counter[str], place: str) -> Any:
    """Return the polygons of a geometry, or None if it has none; count what is left out."""
    from shapely import from_wkb
    from shapely.errors import ShapelyError
    from shapely.geometry import MultiPolygon

    try:
        geometry = None if content is None else from_wkb(content)
    except ShapelyError as error:
        raise DataFormatError(f"{place}: not a readable geometry ({_line(error)})") from None
    if geometry is None or geometry.is_empty:
        skipped["features without geometry"] += 1
        return None
    parts = list(_parts(geometry, skipped))
    if not parts:
        return None
    if not np.isfinite([part.bounds for part in parts]).all():
        raise DataFormatError(f"{place}: a coordinate is not a finite number")
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _parts(geometry: Any, skipped: Counter[str]) -> Iterator[Any]:
    if geometry.geom_type == "Polygon":
        if not geometry.is_empty:
            yield geometry
    elif geometry.geom_type in ("MultiPolygon", "GeometryCollection"):
        for part in geometry.geoms:
            yield from _parts(part, skipped)
    else:
        skipped[_KINDS.get(geometry.geom_type, geometry.geom_type)] += 1


def _crs(source: Source, stated: str | None, features: Sequence[Feature]) -> Any:
    """Return the CRS of a layer; GeoJSON (RFC 7946) is in WGS 84 unless it has the obsolete member `crs`."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    shown = source.shown
    if source.suffix in (".json", ".geojson") and "crs" not in source.document:
        left, bottom, right, top = np.array([feature.shape.bounds for feature in features]).T
        if max(-left.min(), right.max()) > 360 or max(-bottom.min(), top.max()) > 90:
            raise DataFormatError(
                f"{shown}: its coordinates are no degrees, as they are in GeoJSON without a CRS; write it with one "
                "(ogr2ogr -a_srs EPSG:... out.gpkg in.geojson)"
            )
        stated = "OGC:CRS84"
    elif source.suffix in (".json", ".geojson") and source.document["crs"] is None:
        stated = None
    try:
        crs = None if stated is None else CRS.from_user_input(stated)
    except CRSError as error:
        raise DataFormatError(f"{shown}: its CRS is unknown ({_line(error)})") from None
    if crs is None or crs.type_name == "Engineering CRS":
        prj = "; restore its .prj file, or" if source.suffix == ".shp" else ";"
        raise DataFormatError(
            f"{shown}: states no CRS, so its coordinates are ambiguous{prj} set one (ogr2ogr -a_srs EPSG:...)"
        )
    return crs
