"""Write masks as GeoJSON: a feature for each separate target, or for each region of a mask that has none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError
from earthreason.files import write_json
from earthreason.masks.rle import decode_rle

from ...drawing import Drawing
from ...workspace import AnnotationTask


def write_geojson(path: Path, drawing: Drawing, task: AnnotationTask) -> None:
    """Write a mask as polygons in world coordinates, or in pixels for an image without georeference.

    Raises:
        DataFormatError: GeoJSON cannot express the image's CRS.
    """
    from affine import Affine

    transform = Affine.identity() if task.transform is None else Affine(*task.transform)
    stated: dict[str, Any] = {"category": drawing.category, "sample_id": drawing.task}
    if drawing.targets is None:
        parts = [(stated, polygon) for polygon in _polygons(drawing.mask, transform)]
    else:
        parts = [
            ({**stated, "target": number}, _united(_polygons(decode_rle(target), transform)))
            for number, target in enumerate(drawing.targets, start=1)
        ]
    features = [{"type": "Feature", "properties": said, "geometry": geometry} for said, geometry in parts]
    document: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if task.crs is not None:
        document["crs"] = {"type": "name", "properties": {"name": _urn(task.crs, drawing.task)}}
    write_json(path, document, indent=None)


def _polygons(mask: np.ndarray, transform: Any) -> list[dict[str, Any]]:
    from rasterio.features import shapes

    return [geometry for geometry, _ in shapes(mask.astype(np.uint8), mask=mask, transform=transform)]


def _united(polygons: list[dict[str, Any]]) -> dict[str, Any]:
    if len(polygons) == 1:
        return polygons[0]
    return {"type": "MultiPolygon", "coordinates": [polygon["coordinates"] for polygon in polygons]}


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
