"""Read and write CVAT for images 1.1 XML: polygons, boxes and masks.

A mask is stored as row-major runs inside its bounding box, background first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Tree

from annotation_tools.drawing import Drawing
from annotation_tools.formats.base import NO_TARGET, AnnotatedImage, Mark, Patch, checked_size
from annotation_tools.formats.polygons import fill_polygon
from annotation_tools.formats.runs import bounding_box, from_row_runs, row_runs
from annotation_tools.formats.source import Format, Source
from earthreason.data.sources.base import named
from earthreason.errors import DataFormatError
from earthreason.files import write_text

_IGNORED = ("tag", "attribute")


def _read(source: Source) -> Iterator[AnnotatedImage]:
    root = source.root
    if root.find("track") is not None:
        raise DataFormatError(f"{source.shown}: contains video tracks; export the task as 'CVAT for images 1.1'")
    with named(Path(source.shown), "CVAT for images 1.1"):
        for image in root.iter("image"):
            yield _image(image, source)


def _image(image: Any, source: Source) -> AnnotatedImage:
    place = f"{source.shown}, image {image.get('name')!r}"
    marks = []
    for number, element in enumerate((e for e in image if e.tag not in _IGNORED), start=1):
        where = f"{place}, shape {number} ({element.get('label')!r})"
        marks.append(Mark(element.get("label"), partial(_draw, element, where, source.options.repair), where))
    return AnnotatedImage(
        names=(image.attrib["name"],),
        marks=tuple(marks),
        place=place,
        size=checked_size(image.attrib["height"], image.attrib["width"], place),
        says_empty=any(tag.get("label") == NO_TARGET for tag in image.iter("tag")),
    )


FORMAT = Format("CVAT for images 1.1", lambda source: source.tag == "annotations", _read)


def _draw(element: Any, place: str, repair: bool, height: int, width: int) -> Patch:
    if element.tag == "mask":
        return _crop(element, (height, width), place)
    if element.tag == "box":
        if float(element.get("rotation", 0)):
            raise DataFormatError(f"{place}: is a rotated box; convert it to a polygon in CVAT")
        x1, y1, x2, y2 = (float(element.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
        points = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    elif element.tag == "polygon":
        points = [(float(x), float(y)) for x, y in (pair.split(",") for pair in element.attrib["points"].split(";"))]
    else:
        raise DataFormatError(f"{place}: a {element.tag} has no area; use a polygon, box or mask")
    return Patch(fill_polygon(points, height, width, place, repair))


def _crop(element: Any, size: tuple[int, int], place: str) -> Patch:
    left, top, width, height = (int(element.attrib[key]) for key in ("left", "top", "width", "height"))
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > size[1] or top + height > size[0]:
        raise DataFormatError(f"{place}: the box extends outside the image of {size[1]} x {size[0]} pixels")
    try:
        runs = [int(value) for value in element.attrib["rle"].split(",")]
        return Patch(from_row_runs(runs, height, width), top, left)
    except DataFormatError as error:
        raise DataFormatError(f"{place}: {error}") from None


def write_cvat(path: Path, drawings: Iterable[Drawing], file_names: dict[str, str]) -> None:
    """Write drawings as masks, and empty ones as the tag "no target": CVAT would store an empty mask as one pixel."""
    root = Tree.Element("annotations")
    Tree.SubElement(root, "version").text = "1.1"
    labels: dict[str, None] = {NO_TARGET: None}
    images = []
    for number, drawing in enumerate(drawings):
        image = Tree.Element(
            "image",
            id=str(number),
            name=file_names[drawing.task],
            width=str(drawing.width),
            height=str(drawing.height),
        )
        if drawing.is_empty:
            Tree.SubElement(image, "tag", label=NO_TARGET, source="manual")
        else:
            label = drawing.category or "target"
            labels[label] = None
            mask = drawing.mask
            left, top, width, height = bounding_box(mask)
            runs = row_runs(mask[top : top + height, left : left + width])
            Tree.SubElement(
                image,
                "mask",
                label=label,
                source="manual",
                occluded="0",
                z_order="0",
                rle=", ".join(map(str, runs)),
                left=str(left),
                top=str(top),
                width=str(width),
                height=str(height),
            )
        images.append(image)
    listed = Tree.SubElement(Tree.SubElement(Tree.SubElement(root, "meta"), "task"), "labels")
    for name in labels:
        Tree.SubElement(Tree.SubElement(listed, "label"), "name").text = name
    root.extend(images)
    Tree.indent(root)
    write_text(path, '<?xml version="1.0" encoding="utf-8"?>\n' + Tree.tostring(root, encoding="unicode") + "\n")
