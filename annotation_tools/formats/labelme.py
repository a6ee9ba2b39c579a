"""Read labelme JSON: polygons, boxes, circles and base64 PNG masks, one file per image."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from annotation_tools.formats.base import NO_TARGET, AnnotatedImage, Mark, Patch, checked_size
from annotation_tools.formats.owners import TASKS, no_target_of, split_by_task
from annotation_tools.formats.polygons import fill_polygon
from annotation_tools.formats.source import Format, Source
from earthreason.data.pictures import mask_of
from earthreason.data.sources.base import named
from earthreason.errors import DataFormatError

_CIRCLE_POINTS = 64


def _read(source: Source) -> Iterator[AnnotatedImage]:
    document, place = source.document, source.shown
    with named(Path(place), "a labelme file"):
        marks = []
        for number, shape in enumerate(document["shapes"], start=1):
            where = f"{place}, shape {number} ({shape['label']!r})"
            marks.append(Mark(str(shape["label"]), partial(_draw, shape, where, source.options.repair), where))
        flags = document.get("flags") or {}
        whole = AnnotatedImage(
            names=tuple(name for name in (document.get("imagePath"), source.path.name) if name),
            marks=tuple(marks),
            place=place,
            size=checked_size(document["imageHeight"], document["imageWidth"], place),
            says_empty=bool(flags.get(NO_TARGET)),
        )
        tasks = [str(task) for task in document.get(TASKS) or ()]
        said = [shape.get("description") for shape in document["shapes"]]
        owners = [text if text in tasks else None for text in said]
        yield from split_by_task(whole, owners, [task for task in tasks if flags.get(no_target_of(task))], tasks)


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
