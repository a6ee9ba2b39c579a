"""Read and write labelme JSON: polygons, boxes, circles and base64 PNG masks, one file per image.

Unknown keys survive a round trip.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from annotation_tools.drawing import Drawing
from annotation_tools.formats.base import NO_TARGET, AnnotatedImage, Mark, Patch, checked_size
from annotation_tools.formats.polygons import fill_polygon
from annotation_tools.formats.runs import bounding_box
from annotation_tools.formats.source import Format, Source
from earthreason.data.pictures import mask_of
from earthreason.data.sources.base import named
from earthreason.errors import DataFormatError
from earthreason.masks.png import encode_mask_png

_VERSION = "5.5.0"
"""Version stated in new files; shapes of type `mask` need at least 5.3."""
_CIRCLE_POINTS = 64


def _read(source: Source) -> Iterator[AnnotatedImage]:
    document, place = source.document, source.shown
    with named(Path(place), "a labelme file"):
        marks = []
        for number, shape in enumerate(document["shapes"], start=1):
            where = f"{place}, shape {number} ({shape['label']!r})"
            marks.append(Mark(str(shape["label"]), partial(_draw, shape, where, source.options.repair), where))
        yield AnnotatedImage(
            names=tuple(name for name in (document.get("imagePath"), source.path.name) if name),
            marks=tuple(marks),
            place=place,
            size=checked_size(document["imageHeight"], document["imageWidth"], place),
            says_empty=bool((document.get("flags") or {}).get(NO_TARGET)),
        )


FORMAT = Format("labelme", lambda source: "shapes" in source.keys, _read)


def _draw(shape: dict[str, Any], place: str, repair: bool, height: int, width: int) -> Patch:
    kind, points = shape.get("shape_type") or "polygon", shape["points"]
    if kind == "mask":
        return _crop(shape, (height, width), place)
    if kind == "rectangle":
        (x1, y1), (x2, y2) = points
        points = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    elif kind == "circle":
        (x, y), (edge_x, edge_y) = points
        radius = math.hypot(edge_x - x, edge_y - y)
        angles = np.linspace(0, 2 * math.pi, _CIRCLE_POINTS, endpoint=False)
        points = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1).tolist()
    elif kind != "polygon":
        raise DataFormatError(f"{place}: a {kind} has no area; use a polygon, rectangle, circle or mask")
    return Patch(fill_polygon(points, height, width, place, repair))


def _crop(shape: dict[str, Any], size: tuple[int, int], place: str) -> Patch:
    (left, top), (right, bottom) = [[round(value) for value in point] for point in shape["points"]]
    try:
        crop = mask_of(base64.b64decode(shape["mask"], validate=True), Path("mask"))
    except (binascii.Error, DataFormatError, TypeError) as error:
        raise DataFormatError(f"{place}: the mask is not a base64 PNG ({error})") from None
    box = bottom - top + 1, right - left + 1
    if crop.shape != box:
        raise DataFormatError(
            f"{place}: the mask is {crop.shape[1]} x {crop.shape[0]} pixels, but its corners span {box[1]} x {box[0]}"
        )
    if left < 0 or top < 0 or right >= size[1] or bottom >= size[0]:
        raise DataFormatError(f"{place}: the mask extends outside the image of {size[1]} x {size[0]} pixels")
    return Patch(crop, top, left)


def document_of_drawing(drawing: Drawing, file_name: str, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """Convert a drawing to a labelme document.

    Args:
        drawing: drawing to convert; it becomes one shape of type `mask`, or the flag "no target".
        file_name: file name of the picture, in the same folder as the document.
        before: earlier document of the image, whose other keys are kept.
    """
    document = {"version": _VERSION, "imageData": None, **(before or {})}
    flags = {key: value for key, value in (document.get("flags") or {}).items() if key != NO_TARGET}
    shapes: list[dict[str, Any]] = []
    if drawing.is_empty:
        flags[NO_TARGET] = True
    else:
        mask = drawing.mask
        left, top, width, height = bounding_box(mask)
        crop = encode_mask_png(mask[top : top + height, left : left + width])
        shapes.append(
            {
                "label": drawing.category or "target",
                "points": [[left, top], [left + width - 1, top + height - 1]],
                "group_id": None,
                "description": "",
                "shape_type": "mask",
                "flags": {},
                "mask": base64.b64encode(crop).decode("ascii"),
            }
        )
    return document | {
        "imagePath": file_name,
        "imageHeight": drawing.height,
        "imageWidth": drawing.width,
        "shapes": shapes,
        "flags": flags,
    }
