"""Rasterise features of GeoJSON, GeoPackage and Shapefile onto georeferenced images; write masks as GeoJSON."""

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
"""Properties of a feature that may name its category; the first one present counts."""


@dataclass(frozen=True)
class Frame:
    """Size and georeference of an image.

    Attributes:
        image: task ID.
        height: height, pixels.
        width: width, pixels.
        transform: a, b, c, d, e, f of x = a * column + b * row + c, y = d * column + e * row + f; None if unknown.
        crs: coordinate reference system as WKT or EPSG code; None if the image does not state one.
    """

    image: str
    height: int
    width: int
    transform: tuple[float, float, float, float, float, float] | None
    crs: str | None


def rasterise_vectors(path: Path, frame: Frame, options: ReadOptions = AS_STATED) -> Drawing | None:
    """Merge the features that touch an image into a drawing; return None if the image was not annotated.

    Features are clipped at the image border, because a vector file usually covers several images.

    Raises:
        DataFormatError: the file is not a vector file, one of the two has no CRS, or a shape is invalid.
    """
    from affine import Affine
    from shapely.affinity import affine_transform
    from shapely.geometry import box

    if frame.transform is None or frame.crs is None:
        lacking = "no CRS" if frame.transform is not None else "no georeference"
        raise DataFormatError(
            f"{path}: vectors have world coordinates, but image {frame.image!r} has {lacking}; use a GeoTIFF with both "
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
    """Read the label and the shapely geometry of every feature, in the image's CRS."""
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
            f"{path}: states no CRS, so its coordinates are ambiguous; set one (ogr2ogr -a_srs EPSG:...)"
        )
    try:
        source, target = CRS.from_user_input(stated), CRS.from_user_input(target_crs)
    except CRSError as error:
        raise DataFormatError(f"{path}: its CRS or that of the image is unknown ({error})") from None
    move = None if source == target else Transformer.from_crs(source, target, always_xy=True).transform
    fields = list(meta["fields"])
    column = next((fields.index(name) for name in LABEL_FIELDS if name in fields), None)
    labels = [None] * len(geometries) if column is None else values[column]
    shapes = []
    for label, content in zip(labels, geometries, strict=True):
        if content is None:
            continue
        geometry = from_wkb(content)
        if not np.isfinite(geometry.bounds).all():
            raise DataFormatError(f"{path}: a coordinate is not a finite number")
        moved = geometry if move is None else transform(geometry, move, interleaved=False)
        shapes.append((None if label is None else str(label), moved))
    return shapes


def _stated_crs(path: Path, crs: str | None) -> str | None:
    """Return the CRS of a file; GeoJSON (RFC 7946) is in WGS 84 unless it has the obsolete member `crs`."""
    if crs is None and path.suffix.lower() in (".geojson", ".json"):
        member = json.loads(path.read_text(encoding="utf-8-sig")).get("crs")
        return "EPSG:4326" if member is None else None
    return crs


def _urn(crs: str, image: str) -> str:
    """Return the name of a CRS for a GeoJSON file.

    Raises:
        DataFormatError: the CRS has no registered code.
    """
    from pyproj import CRS

    code = CRS.from_user_input(crs).to_authority()
    if code is None:
        raise DataFormatError(f"{image}: its CRS has no EPSG code, so GeoJSON cannot state it; export as coco or png")
    return f"urn:ogc:def:crs:{code[0]}::{code[1]}"


def write_geojson(path: Path, drawing: Drawing, frame: Frame) -> None:
    """Write a mask as polygons in world coordinates, or in pixels for an image without georeference.

    Raises:
        DataFormatError: GeoJSON cannot express the image's CRS.
    """
    from affine import Affine
    from rasterio.features import shapes

    from earthreason.files import write_json

    transform = Affine(*frame.transform) if frame.transform is not None else Affine.identity()
    mask = drawing.mask.astype(np.uint8)
    features = [
        {
            "type": "Feature",
            "properties": {"category": drawing.category, "sample_id": drawing.task},
            "geometry": geometry,
        }
        for geometry, _ in shapes(mask, mask=mask.astype(bool), transform=transform)
    ]
    document: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if frame.crs is not None:
        document["crs"] = {"type": "name", "properties": {"name": _urn(frame.crs, drawing.task)}}
    write_json(path, document, indent=None)
