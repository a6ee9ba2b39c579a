"""Rasterise features of GeoJSON, GeoPackage and Shapefile onto georeferenced images; write masks as GeoJSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from annotation_tools.drawing import Drawing
from annotation_tools.formats.base import AnnotatedImage, Mark, Patch
from annotation_tools.formats.polygons import burn, checked_shape
from annotation_tools.formats.source import Format, Source
from annotation_tools.workspace import AnnotationTask
from earthreason.errors import DataFormatError, EarthReasonError

SUFFIXES = (".geojson", ".gpkg", ".shp", ".fgb")

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


def _read(source: Source) -> Iterator[AnnotatedImage]:
    """Yield the features that touch each georeferenced image, clipped at its border.

    A vector file usually covers several images, so it matches them by place.

    Raises:
        DataFormatError: the file is not a vector file, or one of the two has no CRS.
        EarthReasonError: no image has a georeference.
    """
    placed = {task.image: task for task in source.tasks.values() if task.transform is not None}
    if not placed:
        raise EarthReasonError(
            f"{source.shown}: vectors have world coordinates, but no image of the workspace has a georeference; import "
            "GeoTIFFs"
        )
    for image, task in placed.items():
        if task.crs is None:
            raise DataFormatError(
                f"{source.shown}: vectors have world coordinates, but image {image!r} has no CRS; use a GeoTIFF with "
                "one (gdal_edit.py -a_srs), or pixel polygons as COCO, CVAT or labelme"
            )
        yield AnnotatedImage((), tuple(_marks(source, task, task.crs)), f"{source.shown}, image {image!r}", image=image)


def _claims(source: Source) -> bool:
    if source.suffix == ".json":
        return isinstance(source.document, dict) and source.document.get("type") == "FeatureCollection"
    return source.suffix in SUFFIXES


FORMAT = Format("vectors (GeoJSON, GeoPackage, Shapefile, FlatGeobuf)", _claims, _read)


def _marks(source: Source, task: AnnotationTask, crs: str) -> Iterator[Mark]:
    from affine import Affine
    from shapely.affinity import affine_transform
    from shapely.geometry import box

    assert task.transform is not None
    inverse = ~Affine(*task.transform)
    matrix = [inverse.a, inverse.b, inverse.d, inverse.e, inverse.c, inverse.f]
    border = box(0, 0, task.width, task.height)
    for number, (label, geometry) in enumerate(_features(source.path, crs), start=1):
        place = f"{source.shown}, feature {number}"
        if source.options.category not in (None, label):
            continue
        if geometry.geom_type not in ("Polygon", "MultiPolygon"):
            raise DataFormatError(f"{place}: a {geometry.geom_type} has no area; buffer it to a polygon first")
        pixels = affine_transform(geometry, matrix)
        if not pixels.is_valid:
            pixels = checked_shape(pixels, task.height, task.width, place, source.options.repair)
        inside = pixels.intersection(border)
        if inside.area > 0:
            yield Mark(label, partial(_burnt, inside), place)


def _burnt(shape: Any, height: int, width: int) -> Patch:
    return Patch(burn(shape, height, width))


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
