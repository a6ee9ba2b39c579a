"""Read and write CVAT for images 1.1 XML: polygons, boxes and masks.

A mask is stored as row-major runs inside its bounding box, background first.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Tree

import numpy as np

from annotation_tools.drawing import Drawing
from annotation_tools.formats.base import (
    AS_STATED,
    NO_TARGET,
    ReadOptions,
    Shapes,
    checked_size,
    drawing_of_shapes,
    stem,
)
from annotation_tools.formats.polygons import fill_polygon
from annotation_tools.formats.runs import bounding_box, from_row_runs, row_runs
from earthreason.data.sources.base import named
from earthreason.errors import DataFormatError
from earthreason.files import write_text

_IGNORED = ("tag", "attribute")


def parse_xml(content: str | bytes, place: str) -> Any:
    """Parse XML and return its root element.

    Raises:
        DataFormatError: the content is not XML, or declares a document type or entities.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        return fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise DataFormatError(
            f"{place}: declares a document type or entities ({type(error).__name__}), which are refused because they "
            "can exhaust memory; remove the declaration"
        ) from None
    except Tree.ParseError as error:
        raise DataFormatError(f"{place}: not XML ({error})") from None


def read_cvat(path: Path, options: ReadOptions = AS_STATED) -> list[Drawing]:
    """Read one drawing for each image that has shapes or the tag "no target".

    Raises:
        DataFormatError: the file is not CVAT, or a shape cannot become a mask; the message names image and shape.
    """
    root = parse_xml(path.read_bytes(), str(path))
    if root.tag != "annotations":
        raise DataFormatError(f"{path}: the root is <{root.tag}>, but 'CVAT for images 1.1' has <annotations>")
    if root.find("track") is not None:
        raise DataFormatError(f"{path}: contains video tracks; export the task as 'CVAT for images 1.1'")
    drawings = []
    with named(path, "CVAT for images 1.1"):
        for image in root.iter("image"):
            drawing = _drawing_of_image(image, path, options)
            drawings += [] if drawing is None else [drawing]
    return drawings


def _drawing_of_image(image: Any, path: Path, options: ReadOptions) -> Drawing | None:
    place = f"{path}, image {image.get('name')!r}"
    size = checked_size(image.attrib["height"], image.attrib["width"], place)
    shapes: Shapes = []
    for number, element in enumerate((e for e in image if e.tag not in _IGNORED), start=1):
        where = f"{place}, shape {number} ({element.get('label')!r})"
        shapes.append((element.get("label"), _mask_of_element(element, size, where, options.repair)))
    explicit = any(tag.get("label") == NO_TARGET for tag in image.iter("tag"))
    if explicit and shapes:
        raise DataFormatError(f"{place}: has shapes and the tag {NO_TARGET!r}; one of them is wrong")
    return drawing_of_shapes(stem(image.attrib["name"]), shapes, size, explicit, options, place)


def _mask_of_element(element: Any, size: tuple[int, int], place: str, repair: bool) -> np.ndarray:
    if element.tag == "mask":
        return _paste(element, size, place)
    if element.tag == "box":
        if float(element.get("rotation", 0)):
            raise DataFormatError(f"{place}: is a rotated box; convert it to a polygon in CVAT")
        x1, y1, x2, y2 = (float(element.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
        points = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    elif element.tag == "polygon":
        points = [(float(x), float(y)) for x, y in (pair.split(",") for pair in element.attrib["points"].split(";"))]
    else:
        raise DataFormatError(f"{place}: a {element.tag} has no area; use a polygon, box or mask")
    return fill_polygon(points, *size, place, repair)


def _paste(element: Any, size: tuple[int, int], place: str) -> np.ndarray:
    left, top, width, height = (int(element.attrib[key]) for key in ("left", "top", "width", "height"))
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > size[1] or top + height > size[0]:
        raise DataFormatError(f"{place}: the box extends outside the image of {size[1]} x {size[0]} pixels")
    try:
        crop = from_row_runs([int(value) for value in element.attrib["rle"].split(",")], height, width)
    except DataFormatError as error:
        raise DataFormatError(f"{place}: {error}") from None
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = crop
    return mask


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
