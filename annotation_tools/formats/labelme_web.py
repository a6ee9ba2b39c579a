"""Read the XML of the LabelMe web tool of MIT, one file per image: polygons and boxes.

A pixel belongs to a shape if its centre is inside. Deleted objects stay in the files and are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

from annotation_tools.formats.base import AnnotatedImage, Mark, Patch
from annotation_tools.formats.polygons import fill_polygon
from annotation_tools.formats.source import Format, Source
from annotation_tools.formats.values import points_of, understood
from earthreason.errors import DataFormatError


def _claims(source: Source) -> bool:
    if source.tag != "annotation":
        return False
    return any(source.root.find(f"object/{part}") is not None for part in ("polygon", "segm", "deleted"))


def _read(source: Source) -> Iterator[AnnotatedImage]:
    root, place = source.root, source.shown
    with understood(place, "an XML file of LabelMe"):
        marks = []
        skipped: Counter[str] = Counter()
        for number, element in enumerate(root.findall("object"), start=1):
            if _text(element, "deleted") == "1":
                skipped["deleted shapes"] += 1
                continue
            label = _text(element, "name") or None
            where = f"{place}, object {number} ({label!r})"
            marks.append(Mark(label, partial(_draw, element, where, source.options.repair), where))
        folder, name = _text(root, "folder"), _text(root, "filename")
        rows, columns = _text(root, "imagesize/nrows"), _text(root, "imagesize/ncols")
        yield AnnotatedImage(
            names=(*((f"{folder}/{name}" if folder else name,) if name else ()), source.path.name),
            marks=tuple(marks),
            place=place,
            size=(rows, columns) if rows or columns else None,
            skipped=skipped,
        )


FORMAT = Format("LabelMe XML", _claims, _read)


def _text(element: Any, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _draw(element: Any, place: str, repair: bool, height: int, width: int) -> Patch:
    polygon = element.find("polygon")
    if polygon is None:
        raise DataFormatError(f"{place}: has no polygon, and its scribbles are not read; draw a polygon")
    try:
        points = [[float(_text(point, axis)) for axis in "xy"] for point in polygon.findall("pt")]
    except ValueError:
        raise DataFormatError(f"{place}: the points are not pairs of numbers") from None
    return Patch(fill_polygon(points_of(points, place, least=3).tolist(), height, width, place, repair))
