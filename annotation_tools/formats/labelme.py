"""Read labelme JSON, one file per image, and X-AnyLabeling's, which has some shapes more.

Shapes mark what labelme's own `shape_to_mask` marks.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from earthreason.data.pictures import mask_of
from earthreason.errors import DataFormatError

from .base import NO_TARGET, AnnotatedImage, Mark, Patch
from .owners import TASKS, no_target_of, split_by_task
from .polygons import checked_polygon
from .source import Format, Source
from .values import mapping, name_of, objects, points_of, understood

_WITHOUT_AREA = ("point", "points", "line", "linestrip")
_QUADRANGLES = ("oriented_rectangle", "rotation", "quadrilateral")
"""Shapes of labelme 6 and of X-AnyLabeling, whose four corners are stored as they are seen."""


def _read(source: Source) -> Iterator[AnnotatedImage]:
    document, place = source.document, source.shown
    with understood(place, "a labelme file"):
        tasks = [str(task) for task in document.get(TASKS) or ()]  # of our own export
        marks, owners, skipped = list[Mark](), list[str | None](), Counter[str]()
        canvas = _Canvas()
        for number, shape in enumerate(objects(document["shapes"], place, "'shapes'"), start=1):
            label, kind = name_of(shape["label"]), str(shape.get("shape_type") or "polygon")
            if kind in _WITHOUT_AREA:
                skipped[kind] += 1
                continue
            where = f"{place}, shape {number} ({label!r})"
            draw = partial(_draw, shape, kind, where, source.options.repair, canvas)
            marks.append(Mark(label, draw, where, name_of(shape.get("group_id"))))
            owners.append(said if (said := shape.get("description")) in tasks else None)
        flags = mapping(document.get("flags"), place, "'flags'")
        path = name_of(document.get("imagePath"))
        whole = AnnotatedImage(
            names=(*((path, f"{source.path.parent.as_posix()}/{path}") if path else ()), source.path.name),
            marks=tuple(marks),
            place=place,
            size=_size(document, place),
            says_empty=flags.get(NO_TARGET) is True,
            skipped=skipped,
        )
        yield from split_by_task(whole, owners, [task for task in tasks if flags.get(no_target_of(task))], tasks)


FORMAT = Format("labelme", lambda source: "shapes" in source.keys, _read)


def _size(document: dict[str, Any], place: str) -> tuple[object, object] | None:
    """Return the stated size, or else, in files before labelme 4, that of the picture in the file."""
    stated = document.get("imageHeight"), document.get("imageWidth")
    if stated != (None, None):
        return stated
    content = document.get("imageData")
    if content is None:
        return None
    with understood(place, "a picture in 'imageData'"):
        try:
            picture = Image.open(io.BytesIO(base64.b64decode(content)))
        except OSError as error:
            raise DataFormatError(f"{place}: 'imageData' is not a picture ({error})") from None
        return picture.height, picture.width


class _Canvas:
    """A blank picture on which shapes are drawn one by one, at their place, and cut out.

    Drawing on a smaller picture would move the shapes, and rounding could then choose other pixels.
    """

    def __init__(self) -> None:
        self._picture: Image.Image | None = None

    def cut(self, height: int, width: int, bounds: np.ndarray, draw: Callable[[ImageDraw.ImageDraw], None]) -> Patch:
        """Draw a shape; return the part of the canvas inside the bounds: left, top, right, bottom in pixels."""
        if self._picture is None or self._picture.size != (width, height):
            self._picture = Image.new("L", (width, height))
        left, top = (max(0, math.floor(low) - 1) for low in bounds[:2])
        right, bottom = min(width, math.ceil(bounds[2]) + 2), min(height, math.ceil(bounds[3]) + 2)
        if left >= right or top >= bottom:
            return Patch(np.zeros((1, 1), bool))
        draw(ImageDraw.Draw(self._picture))
        box = (left, top, right, bottom)
        mask = np.asarray(self._picture.crop(box), bool)
        self._picture.paste(0, box)
        return Patch(mask, top, left)


def _draw(
    shape: dict[str, Any], kind: str, place: str, repair: bool, canvas: _Canvas, height: int, width: int
) -> Patch:
    """Draw a shape as `labelme.utils.shape_to_mask` does: Pillow cuts coordinates to whole pixels, edges included."""
    if kind == "mask":
        return _crop(shape, (height, width), place)
    points = points_of(shape["points"], place)
    if kind == "circle":
        return _circle(points, place, canvas, height, width)
    if kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        points = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    elif kind == "rectangle":
        _expect(len(points) == 4, place, "a rectangle has two points, or four in X-AnyLabeling", points)
    elif kind in _QUADRANGLES:
        _expect(len(points) == 4, place, f"a shape of type {kind!r} has four points", points)
    elif kind != "polygon":
        raise DataFormatError(f"{place}: is of type {kind[:40]!r}; use a polygon, rectangle, circle or mask")
    area = checked_polygon(points.tolist(), height, width, place, repair).area
    if area == 0:
        raise DataFormatError(f"{place}: has no area; delete it, draw it larger, or state {NO_TARGET!r} for the image")
    corners = [(float(x), float(y)) for x, y in points]
    bounds = np.concatenate([points.min(axis=0), points.max(axis=0)])
    return canvas.cut(height, width, bounds, lambda on: on.polygon(corners, fill=1, outline=1))


def _circle(points: np.ndarray, place: str, canvas: _Canvas, height: int, width: int) -> Patch:
    """Draw a circle; what is outside the image is cut, because labelme lets people draw it there."""
    _expect(len(points) == 2, place, "a circle has its centre and a point of its edge", points)
    centre, edge = points.tolist()
    radius = math.dist(centre, edge)
    if radius == 0:
        raise DataFormatError(f"{place}: has no area; delete it, draw it larger, or state {NO_TARGET!r} for the image")
    box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
    return canvas.cut(height, width, np.array(box), lambda on: on.ellipse(box, fill=1, outline=1))


def _expect(holds: bool, place: str, rule: str, points: np.ndarray) -> None:
    if not holds:
        raise DataFormatError(f"{place}: {rule}; this one has {len(points)}")


def _crop(shape: dict[str, Any], size: tuple[int, int], place: str) -> Patch:
    points = points_of(shape["points"], place)
    _expect(len(points) == 2, place, "a mask has two corners", points)
    (left, top), (right, bottom) = points.astype(int).tolist()
    try:
        crop = mask_of(base64.b64decode(shape.get("mask") or "", validate=True), Path("mask"))
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
