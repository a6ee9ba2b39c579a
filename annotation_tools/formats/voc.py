"""Read Pascal VOC XML: objects with a polygon, as Roboflow, LabelMe for the web and others of their kind write them.

Objects that have only a box are counted: a box is no mask. A pixel belongs to a polygon if its centre is inside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

from earthreason.errors import DataFormatError

from .base import AnnotatedImage, Mark, Patch, checked_size
from .polygons import fill_polygon
from .source import Format, Source
from .values import understood


def _read(source: Source) -> Iterator[AnnotatedImage]:
    root, place = source.root, source.shown
    with understood(place, "Pascal VOC XML"):
        marks, skipped = [], Counter[str]()
        for number, element in enumerate(root.findall("object"), start=1):
            label = _text(element, "name") or None
            where = f"{place}, object {number} ({label!r})"
            if _text(element, "deleted") == "1":  # LabelMe for the web keeps what was deleted
                skipped["deleted objects"] += 1
            elif element.find("polygon") is not None:
                marks.append(Mark(label, partial(_draw, element, where, source.options.repair), where))
            elif element.find("bndbox") is not None or element.find("robndbox") is not None:
                skipped["boxes without a mask"] += 1
            else:
                raise DataFormatError(f"{where}: has neither a polygon nor a box (scribbles are not read)")
        names = [_text(root, name) for name in ("path", "filename")]
        if _text(root, "folder") and names[1]:
            names.insert(1, f"{_text(root, 'folder')}/{names[1]}")
        size = _size(root, place)
        yield AnnotatedImage(
            names=(*filter(None, names), source.path.name), marks=tuple(marks), place=place, size=size, skipped=skipped
        )


FORMAT = Format("Pascal VOC and LabelMe XML", lambda source: source.tag == "annotation", _read)


def _text(element: Any, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _size(root: Any, place: str) -> tuple[int, int] | None:
    for height, width in (("size/height", "size/width"), ("imagesize/nrows", "imagesize/ncols")):
        if _text(root, height) not in ("", "0"):  # 0: some programs write it if they do not know
            return checked_size(_text(root, height), _text(root, width), place)
    return None


def _draw(element: Any, place: str, repair: bool, height: int, width: int) -> Patch:
    with understood(place, "a polygon of Pascal VOC XML"):
        polygon = element.find("polygon")
        pairs = [(_text(point, "x"), _text(point, "y")) for point in polygon.findall("pt")]
        number = 1
        while not polygon.findall("pt") and polygon.find(f"x{number}") is not None:
            pairs.append((_text(polygon, f"x{number}"), _text(polygon, f"y{number}")))
            number += 1
        points = [(float(x), float(y)) for x, y in pairs]
        return Patch(fill_polygon(points, height, width, place, repair))
