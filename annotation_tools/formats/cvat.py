"""Read CVAT for images 1.1 XML: polygons, boxes, ellipses and masks.

Shapes mark the pixels that CVAT's own exports of masks have: polygons and boxes are filled by pycocotools, ellipses by
OpenCV. A mask is stored as row-major runs inside its bounding box, background first.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError
from earthreason.masks.drawing import FARTHEST

from .base import NO_TARGET, AnnotatedImage, Mark, Patch, checked_size
from .fills import checked_round, fill_as_pycocotools, rotated_corners
from .owners import TASK, split_by_task
from .runs import from_row_runs
from .source import Format, Source
from .values import understood

_AREAS = ("polygon", "box", "ellipse", "mask")
_WITHOUT_AREA = {"polyline": "polylines", "points": "points", "skeleton": "skeletons", "cuboid": "cuboids"}


def _read(source: Source) -> Iterator[AnnotatedImage]:
    root = source.root
    if root.find("track") is not None:
        raise DataFormatError(f"{source.shown}: contains video tracks; export the task as 'CVAT for images 1.1'")
    with understood(source.shown, "CVAT for images 1.1"):
        for image in root.iter("image"):
            yield from _image(image, source)


def _image(image: Any, source: Source) -> list[AnnotatedImage]:
    place = f"{source.shown}, image {image.get('name')!r}"
    marks, owners, skipped = [], list[str | None](), Counter[str]()
    for number, element in enumerate((e for e in image if e.tag not in ("tag", "attribute")), start=1):
        where = f"{place}, shape {number} ({element.get('label')!r})"
        if element.tag in _WITHOUT_AREA:
            skipped[_WITHOUT_AREA[element.tag]] += 1
            continue
        if element.tag not in _AREAS:
            raise DataFormatError(f"{where}: is of the unknown kind {element.tag!r}")
        label = _label(element, source.options.label_field)
        group = element.get("group_id") if element.get("group_id") not in (None, "0") else None
        marks.append(Mark(label, partial(_draw, element, where, source.options.repair), where, group))
        owners.append(_owner(element))
    tags = image.findall("tag")
    empty = [_owner(tag) for tag in tags if tag.get("label") == NO_TARGET]
    if len(empty) < len(tags):
        skipped["tags"] = len(tags) - len(empty)
    whole = AnnotatedImage(
        names=(image.attrib["name"],),
        marks=tuple(marks),
        place=place,
        size=checked_size(image.attrib["height"], image.attrib["width"], place),
        says_empty=None in empty,
        skipped=skipped,
    )
    return split_by_task(whole, owners, [task for task in empty if task is not None])


def _owner(element: Any) -> str | None:
    """Return the task that our own export names beside a shape or tag."""
    return next((said.text for said in element.iter("attribute") if said.get("name") == TASK and said.text), None)


def _label(element: Any, field: str | None) -> str | None:
    """Return the label of a shape, or the value of the attribute that `--label-field` names."""
    if field is None:
        return str(element.attrib["label"])
    values = (attribute.text for attribute in element.findall("attribute") if attribute.get("name") == field)
    return (next(values, None) or "").strip() or None


FORMAT = Format("CVAT for images 1.1", lambda source: source.tag == "annotations", _read)


def _draw(element: Any, place: str, repair: bool, height: int, width: int) -> Patch:
    with understood(place, f"a CVAT {element.tag}"):
        if element.tag == "mask":
            return _crop(element, (height, width), place)
        rotation = _number(element, "rotation") if "rotation" in element.attrib else 0.0
        if element.tag == "ellipse":
            return _ellipse(element, rotation, (height, width), place, repair)
        if element.tag == "box":
            x1, y1, x2, y2 = (_number(element, key) for key in ("xtl", "ytl", "xbr", "ybr"))
            corners = rotated_corners(x1, y1, x2, y2, rotation)
            points = [(round(x, 2), round(y, 2)) for x, y in corners]  # as CVAT does, and all its files have
            if rotation:
                checked_round(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), height, width, place, repair)
                repair = True  # clips the corners, which may lie outside
        else:
            pairs = (pair.split(",") for pair in element.attrib["points"].split(";"))
            points = [(float(x), float(y)) for x, y in pairs]
        return Patch(fill_as_pycocotools(points, height, width, place, repair))


def _number(element: Any, key: str) -> float:
    value = float(element.attrib[key])
    if not math.isfinite(value):
        raise ValueError(f"{key} is {value}")
    return value


def _ellipse(element: Any, rotation: float, size: tuple[int, int], place: str, repair: bool) -> Patch:
    """Draw an ellipse as CVAT exports it: with OpenCV, from a centre and radii rounded to whole pixels."""
    import cv2

    stated = [_number(element, key) for key in ("cx", "cy", "rx", "ry")]
    x, y, across, down = (round(value) for value in checked_round(stated, *size, place, repair))
    if max(abs(x), abs(y), across, down) > FARTHEST:
        raise DataFormatError(f"{place}: is larger than any image")
    mask = np.zeros(size, np.uint8)
    cv2.ellipse(mask, (x, y), (across, down), rotation, 0, 360, 1, thickness=-1)
    return Patch(mask.astype(bool))


def _crop(element: Any, size: tuple[int, int], place: str) -> Patch:
    left, top, width, height = (int(element.attrib[key]) for key in ("left", "top", "width", "height"))
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > size[1] or top + height > size[0]:
        raise DataFormatError(f"{place}: the box extends outside the image of {size[1]} x {size[0]} pixels")
    try:
        runs = [int(value) for value in element.attrib["rle"].split(",")]
        return Patch(from_row_runs(runs, height, width), top, left)
    except DataFormatError as error:
        raise DataFormatError(f"{place}: {error}") from None
