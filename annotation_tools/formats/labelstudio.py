"""Read and write results of Label Studio: brush masks, bitmasks, polygons, boxes, ellipses, and "no target"."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from earthreason.data.pictures import open_picture
from earthreason.errors import DataFormatError
from earthreason.masks.rle import decode_rle

from ..drawing import Drawing
from ..workspace import AnnotationTask
from .assembly import drawing_of_entry
from .base import NO_TARGET, AnnotatedImage, Mark, Patch, ReadOptions
from .brush import HALF, decode_brush, encode_brush
from .polygons import fill_polygon

IMAGE, BRUSH, POLYGON, WAND, CATEGORY = "image", "brush", "polygon", "wand", "category"
"""Names of the object and the controls in the labelling configuration of `labelstudio/config.py`."""
CLICK, BOX = "assist_click", "assist_box"
"""Names of the controls whose points and boxes ask a model for a mask; they mark nothing themselves."""
LABELS = (BRUSH, POLYGON)
"""Labels of shapes. The category is a choice made once per image, so shapes cannot disagree on it."""
REGION = "target-"
"""Beginning of the IDs of our regions."""
UNNAMED = "target"
"""Choice for a target that belongs to none of the listed categories."""
_KINDS = ("brushlabels", "polygonlabels", "rectanglelabels", "ellipselabels", "bitmasklabels")
"""Types of regions that are read; each stores its labels under the same name."""
_WITHOUT_AREA = (
    "keypointlabels",
    "keypoint",
    "vectorlabels",
    "vector",
    "relation",
    "textarea",
    "rating",
    "number",
    "taxonomy",
    "datetime",
    "pairwise",
)
"""Types of results that mark no area of the image, so they are skipped and counted."""


def results_of_drawing(drawing: Drawing) -> list[dict[str, Any]]:
    """Convert a drawing to the result list of an annotation or a prediction, with one region per separate target."""
    said = NO_TARGET if drawing.is_empty else drawing.category or UNNAMED
    choice = {"from_name": CATEGORY, "to_name": IMAGE, "type": "choices", "value": {"choices": [said]}}
    return [*regions_of_drawing(drawing), choice]


def regions_of_drawing(drawing: Drawing) -> list[dict[str, Any]]:
    """Convert the masks of a drawing to brush regions, without the choice of a category."""
    if drawing.is_empty:
        return []
    return [
        {
            "id": f"{REGION}{number}",
            "from_name": BRUSH,
            "to_name": IMAGE,
            "type": "brushlabels",
            "image_rotation": 0,
            "value": {"format": "rle", "rle": encode_brush(decode_rle(mask)), "brushlabels": [BRUSH]},
            "original_width": drawing.width,
            "original_height": drawing.height,
        }
        for number, mask in enumerate(drawing.separate, start=1)
    ]


def drawing_of_results(
    results: Sequence[dict[str, Any]],
    task: AnnotationTask,
    place: str,
    options: ReadOptions,
    skipped: Counter[str] | None = None,
) -> Drawing | None:
    """Convert a result list to a drawing; return None if it has neither shapes nor a choice.

    Args:
        results: results of one annotation.
        task: task that was annotated; if its targets are separate, each region is one.
        place: location for error messages.
        options: reading options.
        skipped: counts results without an area, such as key points and relations, by their type.

    Raises:
        DataFormatError: a shape cannot become a mask, marks no pixel or was drawn at another size; the message names
            it.
    """
    entry = entry_of_results(results, (task.picture,), place, options.repair)
    if skipped is not None:
        skipped.update(entry.skipped)
    return drawing_of_entry(entry, task, entry.marks, options)


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
        if kind == "ellipselabels":
            return fill_ellipse(value, size)
        if kind == "polygonlabels":
            points = [(x * width / 100, y * height / 100) for x, y in value["points"]]
        else:
            points = corners(value, size)
            repair = repair or bool(value.get("rotation"))  # Label Studio lets corners of a turned box leave the image
    except DataFormatError as error:
        raise DataFormatError(f"{place}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataFormatError(f"{place}: not a {kind} value ({type(error).__name__}: {error})") from None
    return fill_polygon(points, height, width, place, repair)


def corners(value: dict[str, Any], size: tuple[int, int]) -> list[tuple[float, float]]:
    """Return the four corners of a box, (x, y) in pixels. It turns about its top left corner, clockwise.

    Args:
        value: top left corner `x`, `y`, `width` and `height` in percent of the image, `rotation` in degrees.
        size: height and width of the image, pixels.
    """
    height, width = size
    left, top = value["x"] * width / 100, value["y"] * height / 100
    wide, high = value["width"] * width / 100, value["height"] * height / 100
    angle = math.radians(value.get("rotation") or 0)
    across, down = (math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))
    return [
        (left + x * across[0] + y * down[0], top + x * across[1] + y * down[1])
        for x, y in ((0, 0), (wide, 0), (wide, high), (0, high))
    ]


def fill_ellipse(value: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    """Fill an ellipse, clipped at the image border; return a (height, width) bool mask.

    Args:
        value: centre `x`, `y` and `radiusX`, `radiusY` in percent of the image, `rotation` clockwise in degrees.
        size: height and width of the image, pixels.

    Raises:
        ValueError: a radius is not a positive number, or another number is not finite.
    """
    height, width = size
    centre = value["x"] * width / 100, value["y"] * height / 100
    radii = value["radiusX"] * width / 100, value["radiusY"] * height / 100
    angle = math.radians(value.get("rotation") or 0)
    if not all(map(math.isfinite, (*centre, *radii, angle))) or min(radii) <= 0:
        raise ValueError("an ellipse needs a centre and two radii above 0")
    x = np.arange(width) + 0.5 - centre[0]
    y = (np.arange(height) + 0.5 - centre[1])[:, None]
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    return np.asarray((along / radii[0]) ** 2 + (across / radii[1]) ** 2 <= 1)


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
    return np.asarray(picture.convert("RGBA"))[..., 3] >= HALF


def task_of_drawing(drawing: Drawing, file_name: str) -> dict[str, Any]:
    """Convert a drawing to a task with an annotation, in Label Studio's JSON import format."""
    annotation = {"result": results_of_drawing(drawing), "lead_time": drawing.seconds}
    return {
        "data": {IMAGE: file_name, "task": drawing.task, "height": drawing.height, "width": drawing.width},
        "annotations": [annotation],
    }


def entry_of_results(
    results: Sequence[dict[str, Any]], names: tuple[str, ...], place: str, repair: bool
) -> AnnotatedImage:
    """Read a result list. Results without an area, such as key points and relations, are skipped and counted.

    Args:
        results: results of one annotation.
        names: names of the image.
        place: location for error messages.
        repair: whether to repair polygons (`ReadOptions.repair`).

    Raises:
        DataFormatError: a result is of an unknown type, or not a result.
    """
    said: str | None = None
    marks, skipped = [], Counter[str]()
    if not isinstance(results, list):
        raise DataFormatError(f"{place}: its results are not a list")
    for number, result in enumerate(results, start=1):
        where = f"{place}, region {number}"
        if not isinstance(result, dict) or not isinstance(result.get("value") or {}, dict):
            raise DataFormatError(f"{where}: is not a result of Label Studio")
        if result.get("from_name") in (CLICK, BOX):
            continue
        kind, value = str(result.get("type")), result.get("value") or {}
        if kind == "choices":
            chosen = _names(value, "choices", where)
            said = chosen[0] if result.get("from_name") == CATEGORY or NO_TARGET in chosen else said
        elif kind in _WITHOUT_AREA:
            skipped[kind] += 1
        elif kind in _KINDS:
            label = _names(value, kind, where)[0]
            label = None if label in LABELS else label
            marks.append(Mark(label, partial(_patch, kind, result, where, repair), where))
        else:
            raise DataFormatError(
                f"{where}: is of type {kind!r}, which is not read ({', '.join(_KINDS)} are); was the project's "
                "configuration edited?"
            )
    category = None if said in (NO_TARGET, UNNAMED) else said
    if said == UNNAMED and not marks:
        category = UNNAMED
    return AnnotatedImage(names, tuple(marks), place, says_empty=said == NO_TARGET, said=category, skipped=skipped)


def _names(value: dict[str, Any], key: str, place: str) -> list[str | None]:
    """Return the labels or choices of a result, at least one entry."""
    names = value.get(key) or [None]
    if not isinstance(names, list) or not all(name is None or isinstance(name, str) for name in names):
        raise DataFormatError(f"{place}: its {key} are not a list of names")
    return names


def _patch(kind: str, result: dict[str, Any], place: str, repair: bool, height: int, width: int) -> Patch:
    return Patch(_mask_of_result(kind, result, (height, width), place, repair))


def provenance_of(annotation: dict[str, Any], people: Mapping[int, str] = MappingProxyType({})) -> dict[str, Any]:
    """Return who saved an annotation last, when, and in how many seconds, as attributes of `Drawing`.

    Args:
        annotation: annotation of an export or of the server.
        people: e-mail addresses by user ID.

    Raises:
        DataFormatError: the time taken is not a number.
    """
    who = annotation.get("updated_by")
    who = annotation.get("completed_by") if who is None else who
    seconds = annotation.get("lead_time")
    if seconds is not None and not isinstance(seconds, int | float):
        raise DataFormatError(f"its lead_time is not a number of seconds, but {seconds!r}")
    return {
        "annotator": _person(who, people),
        "created": str(annotation.get("updated_at") or annotation.get("created_at") or ""),
        "seconds": None if seconds is None else round(float(seconds), 1),
    }


def _person(who: object, people: Mapping[int, str]) -> str:
    """Return the e-mail address of a person, or the user ID if Label Studio does not say it."""
    if isinstance(who, dict):
        if who.get("email"):
            return str(who["email"])
        who = who.get("id")
    if isinstance(who, int):
        return people.get(who, str(who))
    return "" if who is None else str(who)


def people_of_export(tasks: Iterable[Any]) -> dict[int, str]:
    """Return the e-mail addresses by user ID that an export states; some of its places may hold the ID only."""
    people = {}
    for task in tasks:
        for annotation in task.get("annotations", []):
            for who in (annotation.get("completed_by"), annotation.get("updated_by")):
                if isinstance(who, dict) and isinstance(who.get("id"), int) and who.get("email"):
                    people[who["id"]] = str(who["email"])
    return people
