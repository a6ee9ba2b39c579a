"""Read and write results of Label Studio: brush masks, bitmasks, polygons, boxes, and the choice "no target"."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from annotation_tools.drawing import Drawing
from annotation_tools.formats.base import (
    NO_TARGET,
    AnnotatedImage,
    Mark,
    Patch,
    ReadOptions,
    Shapes,
    checked_size,
    drawing_of_shapes,
)
from annotation_tools.formats.brush import decode_brush, encode_brush
from annotation_tools.formats.polygons import fill_polygon
from annotation_tools.formats.source import Format, Source
from earthreason.data.pictures import open_picture
from earthreason.data.sources.base import named
from earthreason.errors import DataFormatError

IMAGE, BRUSH, POLYGON, WAND, CATEGORY = "image", "brush", "polygon", "wand", "category"
"""Names of the object and the controls in the labelling configuration of `labelstudio/config.py`."""
CLICK, BOX = "assist_click", "assist_box"
"""Names of the controls whose points and boxes ask a model for a mask; they mark nothing themselves."""
LABELS = (BRUSH, POLYGON)
"""Labels of shapes. The category is a choice made once per image, so shapes cannot disagree on it."""
UNNAMED = "target"
"""Choice for a target that belongs to none of the listed categories."""
_KINDS = ("brushlabels", "polygonlabels", "rectanglelabels", "bitmasklabels")
"""Types of regions that are read; each stores its labels under the same name."""


def results_of_drawing(drawing: Drawing) -> list[dict[str, Any]]:
    """Convert a drawing to the result list of an annotation or a prediction."""
    size = {"original_width": drawing.width, "original_height": drawing.height}
    said = NO_TARGET if drawing.is_empty else drawing.category or UNNAMED
    choice = {"from_name": CATEGORY, "to_name": IMAGE, "type": "choices", "value": {"choices": [said]}}
    if drawing.is_empty:
        return [choice]
    value = {"format": "rle", "rle": encode_brush(drawing.mask), "brushlabels": [BRUSH]}
    brush = {"from_name": BRUSH, "to_name": IMAGE, "type": "brushlabels", "image_rotation": 0, "value": value, **size}
    return [brush, choice]


def drawing_of_results(
    results: Sequence[dict[str, Any]], image: str, size: tuple[int, int], place: str, options: ReadOptions
) -> Drawing | None:
    """Convert a result list to a drawing; return None if it has neither shapes nor a choice.

    Args:
        results: results of one annotation.
        image: task ID.
        size: actual height and width of the image, pixels.
        place: location for error messages.
        options: reading options.

    Raises:
        DataFormatError: a shape cannot become a mask or was drawn at another size; the message names it.
    """
    shapes: Shapes = []
    said: str | None = None
    for number, result in enumerate(results, start=1):
        if result.get("from_name") in (CLICK, BOX):
            continue
        kind, value = str(result.get("type")), result.get("value") or {}
        where = f"{place}, region {number}"
        if kind == "choices":
            chosen = value.get("choices") or [None]
            said = chosen[0] if result.get("from_name") == CATEGORY or NO_TARGET in chosen else said
            continue
        if kind not in _KINDS:
            raise DataFormatError(
                f"{where}: is of type {kind!r}, which the project's configuration does not offer; was that edited?"
            )
        labels = value.get(kind) or [None]
        label = None if labels[0] in LABELS else labels[0]
        shapes.append((label, _mask_of_result(kind, result, size, where, options.repair)))
    if said == NO_TARGET and shapes:
        raise DataFormatError(f"{place}: has regions and the choice {NO_TARGET!r}; one of them is wrong")
    if said not in (None, NO_TARGET) and not shapes:
        raise DataFormatError(f"{place}: says {said!r}, but nothing is drawn; draw it or choose {NO_TARGET!r}")
    if said not in (None, NO_TARGET, UNNAMED):
        shapes = [(said, mask) for _, mask in shapes]
    return drawing_of_shapes(image, shapes, size, said == NO_TARGET, options, place)


def _mask_of_result(kind: str, result: dict[str, Any], size: tuple[int, int], place: str, repair: bool) -> np.ndarray:
    height, width = size
    stated = result.get("original_height"), result.get("original_width")
    if stated != size:
        raise DataFormatError(
            f"{place}: was drawn on an image of {stated[1]} x {stated[0]} pixels, but the image is {width} x {height}; "
            "it was resized. Draw it again on the original"
        )
    if result.get("image_rotation"):
        raise DataFormatError(f"{place}: the image was rotated by {result['image_rotation']} degrees; turn it back")
    value = result["value"]
    try:
        if kind == "brushlabels":
            return decode_brush(value["rle"], height, width)
        if kind == "bitmasklabels":
            return _bitmask(value["imageDataURL"], size)
        if kind == "polygonlabels":
            points = [(x * width / 100, y * height / 100) for x, y in value["points"]]
        else:
            if value.get("rotation"):
                raise DataFormatError("is a rotated box; draw a polygon instead")
            x1, y1 = value["x"] * width / 100, value["y"] * height / 100
            x2, y2 = x1 + value["width"] * width / 100, y1 + value["height"] * height / 100
            points = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    except DataFormatError as error:
        raise DataFormatError(f"{place}: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise DataFormatError(f"{place}: not a {kind} value ({type(error).__name__}: {error})") from None
    return fill_polygon(points, height, width, place, repair)


def _bitmask(url: str, size: tuple[int, int]) -> np.ndarray:
    head, _, data = url.partition(",")
    if not head.startswith("data:image/png;base64"):
        raise DataFormatError("the bitmask is not a PNG data URL")
    try:
        picture = open_picture(base64.b64decode(data))
    except (OSError, SyntaxError, ValueError) as error:
        raise DataFormatError(f"the bitmask is not a readable PNG ({error})") from None
    if (picture.height, picture.width) != size:
        raise DataFormatError(f"the bitmask is {picture.width} x {picture.height} pixels, not as large as the image")
    return np.asarray(picture.convert("RGBA"))[..., 3] != 0


def task_of_drawing(drawing: Drawing, file_name: str) -> dict[str, Any]:
    """Convert a drawing to a task with an annotation, in Label Studio's JSON import format."""
    annotation = {"result": results_of_drawing(drawing), "lead_time": drawing.seconds}
    return {
        "data": {IMAGE: file_name, "task": drawing.task, "height": drawing.height, "width": drawing.width},
        "annotations": [annotation],
    }


def _read(source: Source) -> Iterator[AnnotatedImage]:
    """Yield one entry per annotation of an export in the format "JSON"; skipped tasks are left out."""
    with named(Path(source.shown), "an export of Label Studio as JSON"):
        for number, task in enumerate(source.document, start=1):
            data, place = task["data"], f"{source.shown}, task {number}"
            for annotation in task.get("annotations", []):
                if annotation.get("was_cancelled"):
                    continue
                results = annotation["result"]
                key = str(annotation.get("unique_id") or annotation.get("id") or "")
                yield _annotated(
                    results, data, _size(data, results, place), place, source, provenance_of(annotation) | {"key": key}
                )


def _annotated(
    results: Sequence[dict[str, Any]],
    data: dict[str, Any],
    size: tuple[int, int],
    place: str,
    source: Source,
    facts: dict[str, Any],
) -> AnnotatedImage:
    said: str | None = None
    marks = []
    for number, result in enumerate(results, start=1):
        if result.get("from_name") in (CLICK, BOX):
            continue
        kind, value = str(result.get("type")), result.get("value") or {}
        where = f"{place}, region {number}"
        if kind == "choices":
            chosen = value.get("choices") or [None]
            said = chosen[0] if result.get("from_name") == CATEGORY or NO_TARGET in chosen else said
            continue
        if kind not in _KINDS:
            raise DataFormatError(f"{where}: is of type {kind!r}, which has no area")
        labels = value.get(kind) or [None]
        label = None if labels[0] in LABELS else labels[0]
        marks.append(Mark(label, partial(_patch, kind, result, where, source.options.repair), where))
    category = None if said in (NO_TARGET, UNNAMED) else said
    if said == UNNAMED and not marks:
        category = UNNAMED
    return AnnotatedImage(
        names=(str(data[IMAGE]),),
        marks=tuple(marks),
        place=place,
        size=size,
        says_empty=said == NO_TARGET,
        said=category,
        task=None if data.get("task") is None else str(data["task"]),
        facts=facts,
    )


def _patch(kind: str, result: dict[str, Any], place: str, repair: bool, height: int, width: int) -> Patch:
    return Patch(_mask_of_result(kind, result, (height, width), place, repair))


FORMAT = Format(
    "Label Studio (JSON)", lambda source: source.suffix == ".json" and isinstance(source.document, list), _read
)


def _size(data: dict[str, Any], results: list[dict[str, Any]], place: str) -> tuple[int, int]:
    for source, names in ((data, ("height", "width")), *((r, ("original_height", "original_width")) for r in results)):
        if all(isinstance(source.get(name), int) for name in names):
            return checked_size(source[names[0]], source[names[1]], place)
    raise DataFormatError(f"{place}: does not state the size of the image")


def provenance_of(annotation: dict[str, Any]) -> dict[str, Any]:
    """Return who made an annotation, when, and in how many seconds, as attributes of `Drawing`."""
    who = annotation.get("completed_by")
    name = who.get("email") if isinstance(who, dict) else who
    seconds = annotation.get("lead_time")
    return {
        "annotator": "" if name is None else str(name),
        "created": str(annotation.get("updated_at") or annotation.get("created_at") or ""),
        "seconds": None if seconds is None else round(float(seconds), 1),
    }
