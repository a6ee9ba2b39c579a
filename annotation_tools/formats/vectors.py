"""GeoJSON, GeoPackage and Shapefile features rasterised onto a georeferenced image."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from annotation_tools.drawing import Drawing
from annotation_tools.formats.base import AS_STATED, ReadOptions, Shapes, drawing_of_shapes
from annotation_tools.formats.polygons import burn, checked_shape
from earthreason.errors import DataFormatError

LABEL_FIELDS = ("category", "label", "class", "name")
"""Properties of a feature that may name its category, the first that is there."""


@dataclass(frozen=True)
class Frame:
    """Where an image lies: its id, its size and how its pixels map to the world.

    Attributes:
        image: id of the task.
        height, width: pixels.
        transform: six numbers a, b, c, d, e, f of x = a * column + b * row + c, y = d * column + e * row + f.
        crs: coordinate reference system as WKT or EPSG code; None where the image does not state it.
    """

    image: str
    height: int
    width: int
    transform: tuple[float, float, float, float, float, float] | None
    crs: str | None


def rasterise_vectors(path: Path, frame: Frame, options: ReadOptions = AS_STATED) -> Drawing | None:
    """The features of a vector file that touch an image, as one drawing of it.

    A feature that crosses the image's border is cut there: a vector file covers more than one image.

    Raises:
        DataFormatError: not a vector file, a CRS is missing on either side, or a shape is invalid.
    """
    from affine import Affine
    from shapely.affinity import affine_transform
    from shapely.geometry import box

    if frame.transform is None or frame.crs is None:
        lacking = "no CRS" if frame.transform is not None else "no georeference"
        raise DataFormatError(
            f"{path}: vectors lie in the world, but image {frame.image!r} has {lacking}; give a GeoTIFF with both "
            "(gdal_edit.py -a_srs), or pixel polygons as COCO, CVAT or labelme"
        )
    features = _features(path, frame.crs)
    inverse = ~Affine(*frame.transform)
    matrix = [inverse.a, inverse.b, inverse.d, inverse.e, inverse.c, inverse.f]
    border = box(0, 0, frame.width, frame.height)
    shapes: Shapes = []
    for number, (label, geometry) in enumerate(features, start=1):
        if options.category not in (None, label):
            continue
        place = f"{path}, feature {number}"
        if geometry.geom_type not in ("Polygon", "MultiPolygon"):
            raise DataFormatError(f"{place}: a {geometry.geom_type} has no area; buffer it to a polygon first")
        pixels = affine_transform(geometry, matrix)
        if not pixels.is_valid:
            pixels = checked_shape(pixels, frame.height, frame.width, place, options.repair)
        inside = pixels.intersection(border)
        mask = burn(inside, frame.height, frame.width)
        if mask.any():
            shapes.append((label, mask))
    return drawing_of_shapes(frame.image, shapes, (frame.height, frame.width), False, options, str(path))


def _features(path: Path, target_crs: str) -> list[tuple[str | None, Any]]:
    """Label and shapely geometry of every feature, in the image's CRS."""
    import pyogrio
    from pyproj import CRS, Transformer
    from pyproj.exceptions import CRSError
    from shapely import from_wkb, transform

    try:
        meta, _, geometries, values = pyogrio.raw.read(path)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError) as error:
        raise DataFormatError(f"{path}: not a vector file that GDAL reads ({error})") from None
    stated = _stated_crs(path, meta.get("crs"))
    if stated is None:
        raise DataFormatError(
            f"{path}: states no CRS, so nobody knows where its coordinates lie; set it (ogr2ogr -a_srs EPSG:...)"
        )
    try:
        source, target = CRS.from_user_input(stated), CRS.from_user_input(target_crs)
    except CRSError as error:
        raise DataFormatError(f"{path}: its CRS or the image's is not known ({error})") from None
    move = None if source == target else Transformer.from_crs(source, target, always_xy=True).transform
    fields = list(meta["fields"])
    column = next((fields.index(name) for name in LABEL_FIELDS if name in fields), None)
    labels = [None] * len(geometries) if column is None else values[column]
    found = []
    for label, content in zip(labels, geometries, strict=True):
        if content is None:
            continue
        geometry = from_wkb(content)
        if not np.isfinite(geometry.bounds).all():
            raise DataFormatError(f"{path}: a coordinate is not a finite number")
        moved = geometry if move is None else transform(geometry, move, interleaved=False)
        found.append((None if label is None else str(label), moved))
    return found


def _stated_crs(path: Path, crs: str | None) -> str | None:
    """The CRS of a file; GeoJSON (RFC 7946) is WGS 84 unless an old `crs` member says otherwise."""
    if crs is None and path.suffix.lower() in (".geojson", ".json"):
        member = json.loads(path.read_text(encoding="utf-8-sig")).get("crs")
        return "EPSG:4326" if member is None else None
    return crs


def _urn(crs: str, image: str) -> str:
    """The name of a CRS as GeoJSON files state it.

    Raises:
        DataFormatError: the CRS has no code in a register.
    """
    from pyproj import CRS

    code = CRS.from_user_input(crs).to_authority()
    if code is None:
        raise DataFormatError(f"{image}: its CRS has no EPSG code, so GeoJSON cannot state it; export as coco or png")
    return f"urn:ogc:def:crs:{code[0]}::{code[1]}"


def write_geojson(path: Path, drawing: Drawing, frame: Frame) -> None:
    """Write the outline of a mask as polygons in world coordinates (or pixels where the image has none).

    Raises:
        DataFormatError: GeoJSON cannot state the image's CRS.
    """
    from affine import Affine
    from rasterio.features import shapes

    from earthreason.files import write_json

    transform = Affine(*frame.transform) if frame.transform is not None else Affine.identity()
    mask = drawing.mask.astype(np.uint8)
    features = [
        {
            "type": "Feature",
            "properties": {"category": drawing.category, "sample_id": drawing.image},
            "geometry": geometry,
        }
        for geometry, _ in shapes(mask, mask=mask.astype(bool), transform=transform)
    ]
    document: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if frame.crs is not None:
        document["crs"] = {"type": "name", "properties": {"name": _urn(frame.crs, drawing.image)}}
    write_json(path, document, indent=None)
