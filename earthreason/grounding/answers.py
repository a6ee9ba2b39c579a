"""Read boxes and points from what a vision-language model wrote.

Models wrap answers in prose, fences and thoughts, and each family has its own keys and tags. Whatever has one meaning
is read; everything else is an error, which is not "no target".
"""

from __future__ import annotations

import ast
import json
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

from pydantic import BaseModel

from earthreason.grounding.profiles import Profile
from earthreason.questions.servers.replies import unwrap

_BOXES = {"box", "boxes", "bbox", "bboxes", "box_2d", "bbox_2d", "boxes_2d", "bboxes_2d", "bounding_box"}
_POINTS = {"point", "points", "point_2d", "points_2d"}
_REGIONS = {"targets", "objects", "detections", "regions", "results", "result", "answers", "answer"}
_TAGGED = re.compile(r"(?s)<box>(.*?)</box>|<\|box_start\|>(.*?)<\|box_end\|>")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_FULL_WIDTH = {0xFEE0 + code: code for code in range(ord("!"), ord("~") + 1)}
"""Letters, digits and brackets as Chinese and Japanese texts write them, and their ASCII forms."""
_OPENING = re.compile(r"[\[{]")
_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}
_DEEPEST = 50
"""Brackets within brackets that are read; real answers have a few."""
_CORNERS = (
    ("x1", "y1", "x2", "y2"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("left", "top", "right", "bottom"),
)
_SIDES = (("x", "y", "width", "height"), ("x", "y", "w", "h"))
_NAMED = (*_CORNERS, *_SIDES, ("x", "y"))
"""Names by which coordinates are given instead of by their order."""
_PYTHON = {"null": "None", "true": "True", "false": "False"}
_MARGIN = 0.02
"""Share of a side by which a coordinate may lie outside the image; it is moved to the side."""


class Target(BaseModel):
    """One region, in the coordinates of the answer or as fractions of the image.

    Attributes:
        box: four numbers, such as left, top, right, bottom.
        points: two numbers each, such as x, y.
    """

    box: list[float] | None
    points: list[list[float]]


class Grounding(BaseModel):
    """Regions that answer a question; empty if nothing does."""

    targets: list[Target]


@dataclass(frozen=True)
class Unreadable:
    """Text that is no literal."""


_UNREADABLE = Unreadable()


def read_answer(text: str, y_first: bool = False) -> Grounding:
    """Read the regions of an answer, with its own coordinates.

    Args:
        text: answer of the model.
        y_first: order in which to return coordinates that have names.

    Raises:
        ValueError: the text has no region and does not say that there is none, or a region is malformed.
    """
    bare = unwrap(text).translate(_FULL_WIDTH)
    if "<think>" in bare:
        raise ValueError("it ends within its thoughts")
    if tagged := _TAGGED.findall(bare):
        numbers = [list(map(float, _NUMBER.findall("".join(groups)))) for groups in tagged]
        return Grounding(targets=list(chain.from_iterable(map(_of_tag, numbers))))
    if _says_none(bare):
        return Grounding(targets=[])
    bare_lists: list[list[Target]] = []
    named: list[list[Target]] = []
    for written in _values(bare):
        value = _in_order(written, y_first)
        if (found := _targets_of(value)) is not None:
            (named if _has_names(value) else bare_lists).append(found)
    if not named and not bare_lists:
        raise ValueError("there is no box or point in it, and no empty list")
    # Beside regions with names, a list of numbers is part of the prose.
    return Grounding(targets=list(chain.from_iterable(named or bare_lists)))


def place(answer: Grounding, profile: Profile, width: int, height: int) -> list[Target]:
    """Convert regions to fractions of the image: x before y, left before right, top before bottom.

    A box without area is left out if its region has points, or if another region is good.

    Args:
        answer: regions in the coordinates of the answer.
        profile: how the model gives coordinates.
        width: width of the image that was sent, pixels.
        height: height of that image, pixels.

    Raises:
        ValueError: a coordinate is outside the image, or no region has an area or a point.
    """
    across, down = (width, height) if profile.scale is None else (profile.scale, profile.scale)

    def convert(pair: Sequence[float]) -> list[float]:
        x, y = reversed(pair) if profile.y_first else pair
        for value, full in ((x, across), (y, down)):
            if not -_MARGIN * full <= value <= (1 + _MARGIN) * full:
                raise ValueError(f"coordinate {value:g} is outside the image, where {full:g} is the side")
        return [min(max(x / across, 0.0), 1.0), min(max(y / down, 0.0), 1.0)]

    placed = []
    for target in answer.targets:
        box = None
        if target.box is not None:
            corners = convert(target.box[:2]), convert(target.box[2:])
            (left, right), (top, bottom) = (sorted(values) for values in zip(*corners, strict=True))
            box = [left, top, right, bottom] if left < right and top < bottom else None
        if box is not None or target.points:
            placed.append(Target(box=box, points=[convert(point) for point in target.points]))
    if answer.targets and not placed:
        raise ValueError("its boxes have no area, and there is no point")
    return placed


def _of_tag(numbers: list[float]) -> Iterator[Target]:
    size = 2 if len(numbers) == 2 else 4
    if not numbers or len(numbers) % size:
        raise ValueError(f"a box has four numbers, but {len(numbers)} are between its tags")
    for at in range(0, len(numbers), size):
        part = numbers[at : at + size]
        yield Target(box=part, points=[]) if size == 4 else Target(box=None, points=[part])


def _values(text: str) -> Iterator[Any]:
    """Yield the outermost JSON or Python literals of a text."""
    at = 0
    ends: dict[int, int | None] = {}
    while opening := _OPENING.search(text, at):
        start = opening.start()
        if start not in ends:
            ends |= _find_ends(text, start)
        end = ends[start]
        value = _UNREADABLE if end is None else _literal(text[start:end])
        if value is _UNREADABLE:
            at = start + 1
        else:
            yield value
            at = end or len(text)


def _find_ends(text: str, start: int) -> dict[int, int | None]:
    """Return where the bracket at `start` is closed, past it, and those within it; None for one that is not.

    Brackets in quotes are left out.
    """
    ends: dict[int, int | None] = {}
    unclosed: list[int] = []
    quote, escaped = "", False
    for at in range(start, len(text)):
        character = text[at]
        if quote:
            quote = "" if character == quote and not escaped else quote
            escaped = character == "\\" and not escaped
        elif character in "\"'":
            quote = character
        elif character in "[{":
            unclosed.append(at)
            ends[at] = None
        elif character in "]}":
            ends[unclosed.pop()] = at + 1
            if not unclosed:
                break
    return ends


def _literal(text: str) -> Any:
    # Python's own limit differs from version to version, and so would the score.
    if max(accumulate(_DEPTH.get(character, 0) for character in text), default=0) > _DEEPEST:
        raise ValueError("its brackets are nested too deeply")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:  # single quotes, trailing commas and None, as Python writes them
        with warnings.catch_warnings(action="ignore"):  # Python 3.12 warns of a backslash in a model's prose
            return ast.literal_eval(re.sub(r"\b(null|true|false)\b", lambda match: _PYTHON[match[0]], text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _UNREADABLE


def _in_order(value: Any, y_first: bool) -> Any:
    """Replace coordinates with names by lists, and numbers and lists written as text by themselves."""
    if isinstance(value, str) and (_NUMBER.fullmatch(value.strip()) or value.lstrip().startswith("[")):
        literal = _literal(value.strip())
        return value if literal is _UNREADABLE else literal
    if isinstance(value, list | tuple):
        return [_in_order(part, y_first) for part in value]
    if not isinstance(value, dict):
        return value
    parts = {str(key).lower(): _in_order(part, y_first) for key, part in value.items()}
    for names in _NAMED:
        numbers: list[Any] = [parts.get(name) for name in names]
        if not _is_numbers(numbers, len(names)):
            continue
        if names in _SIDES:
            numbers[2:] = [numbers[0] + numbers[2], numbers[1] + numbers[3]]
        if y_first:
            numbers = [numbers[k ^ 1] for k in range(len(numbers))]  # y before x in each pair
        rest = {key: part for key, part in parts.items() if key not in names}
        return {**rest, "point" if len(names) == 2 else "box": numbers} if rest else numbers
    return parts


def _has_names(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list | tuple) and any(map(_has_names, value)))


def _is_numbers(value: Any, count: int) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == count
        and all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) <= sys.float_info.max for n in value)
    )


def _targets_of(value: Any) -> list[Target] | None:
    """Return the regions of a value; an empty list if it says that there is none; None if it is about neither."""
    if isinstance(value, dict):
        return _targets_of_object(value)
    if not isinstance(value, list | tuple):
        return None
    if not value:
        return []
    if _is_numbers(value, 4):
        return [Target(box=list(value), points=[])]
    if _is_numbers(value, 2):
        return [Target(box=None, points=[list(value)])]
    parts = [part for part in map(_targets_of, value) if part is not None]
    return list(chain.from_iterable(parts)) if parts else None


def _targets_of_object(value: dict[str, Any]) -> list[Target] | None:
    if value.get("found") is False:
        return []
    if not value.keys() & (_BOXES | _POINTS):
        # Under other names, lists without names are something else, such as scores.
        inner = [each for key, each in value.items() if key in _REGIONS or _has_names(each)]
        parts = [part for part in map(_targets_of, inner) if part is not None]
        return list(chain.from_iterable(parts)) if parts else None
    boxes = list(chain.from_iterable(_lists_of(value[key], 4, "box") for key in value.keys() & _BOXES))
    points = list(chain.from_iterable(_lists_of(value[key], 2, "point") for key in value.keys() & _POINTS))
    if not boxes and not points:
        if value.get("found") is True:
            raise ValueError("it says that something was found, but gives neither box nor point")
        return []
    return _join(boxes, points)


def _lists_of(value: Any, count: int, name: str) -> list[list[float]]:
    """Return one or several lists of `count` numbers; a box may also be two corners."""
    if value is None or value in ([], ()) or (isinstance(value, str) and _says_none(value)):
        return []
    if _is_numbers(value, count):
        return [list(value)]
    if isinstance(value, list | tuple):
        if count == 4 and len(value) == 2 and all(_is_numbers(corner, 2) for corner in value):
            return [[*value[0], *value[1]]]
        if all(_is_numbers(each, count) for each in value):
            return [list(each) for each in value]
    raise ValueError(f"a {name} is {count} numbers, not {str(value)[:60]}")


def _says_none(text: str) -> bool:
    return text.strip(" .\"'`").lower() in ("null", "none")


def _join(boxes: list[list[float]], points: list[list[float]]) -> list[Target]:
    """Join points to a single box, or each to the first box around it; the rest are a region of their own."""
    if len(boxes) <= 1:
        return [Target(box=boxes[0] if boxes else None, points=points)]
    targets = [Target(box=box, points=[]) for box in boxes]
    rest: list[list[float]] = []
    for point in points:
        inside = (n for n, box in enumerate(boxes) if all(_between(point[k], box[k], box[k + 2]) for k in (0, 1)))
        number = next(inside, None)
        (rest if number is None else targets[number].points).append(point)
    return [*targets, Target(box=None, points=rest)] if rest else targets


def _between(value: float, one: float, other: float) -> bool:
    return min(one, other) <= value <= max(one, other)
