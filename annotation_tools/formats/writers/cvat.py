"""Write CVAT for images 1.1 XML: a mask for each target, as row-major runs inside its bounding box."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree as Tree

from earthreason.files import write_text
from earthreason.masks.rle import decode_rle
from earthreason.types import RLE

from ...drawing import Drawing
from ..base import NO_TARGET
from ..owners import TASK
from ..runs import bounding_box, row_runs


def write_cvat(
    path: Path, drawings: Iterable[Drawing], file_names: Mapping[str, str], labels: Mapping[str, str] | None = None
) -> None:
    """Write drawings as masks, and empty ones as the tag "no target": CVAT would store an empty mask as one pixel.

    Drawings of one picture are one `image`. Their shapes and tags have the task ID as an attribute.

    Args:
        path: file to write.
        drawings: drawings to write.
        file_names: file name of the picture, by task.
        labels: label of the shapes, by task; by default the category of the drawing, or "target".
    """
    root = Tree.Element("annotations")
    Tree.SubElement(root, "version").text = "1.1"
    used: dict[str, None] = {NO_TARGET: None}
    images: dict[str, Tree.Element] = {}
    for drawing in drawings:
        name = file_names[drawing.task]
        if name not in images:
            width, height = str(drawing.width), str(drawing.height)
            images[name] = Tree.Element("image", id=str(len(images)), name=name, width=width, height=height)
        image = images[name]
        if drawing.is_empty:
            _own(Tree.SubElement(image, "tag", label=NO_TARGET, source="manual"), drawing)
            continue
        label = (labels or {}).get(drawing.task) or drawing.category or "target"
        used[label] = None
        for target in drawing.separate:
            _own(_mask(image, target, label), drawing)
    listed = Tree.SubElement(Tree.SubElement(Tree.SubElement(root, "meta"), "task"), "labels")
    for label in used:
        _declare(listed, label)
    root.extend(images.values())
    Tree.indent(root)
    write_text(path, '<?xml version="1.0" encoding="utf-8"?>\n' + Tree.tostring(root, encoding="unicode") + "\n")


def _mask(image: Tree.Element, target: RLE, label: str) -> Tree.Element:
    mask = decode_rle(target)
    left, top, width, height = bounding_box(mask)
    runs = row_runs(mask[top : top + height, left : left + width])
    return Tree.SubElement(
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


def _own(element: Tree.Element, drawing: Drawing) -> None:
    Tree.SubElement(element, "attribute", name=TASK).text = drawing.task


def _declare(labels: Tree.Element, name: str) -> None:
    """Declare a label with the attribute for the task, which CVAT would drop otherwise."""
    label = Tree.SubElement(labels, "label")
    Tree.SubElement(label, "name").text = name
    attribute = Tree.SubElement(Tree.SubElement(label, "attributes"), "attribute")
    for key, value in (("name", TASK), ("mutable", "False"), ("input_type", "text"), ("default_value", "")):
        Tree.SubElement(attribute, key).text = value
    Tree.SubElement(attribute, "values").text = ""
