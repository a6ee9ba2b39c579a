"""Read VGG Image Annotator: projects and exports of VIA 2 (JSON, CSV) and projects of VIA 3.

VIA writes no masks, so a pixel belongs to a shape if its centre is inside. The files state no sizes of images.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from earthreason.errors import DataFormatError

from .base import AnnotatedImage, Mark, Patch
from .fills import checked_round, fill_ellipse
from .polygons import fill_polygon
from .source import Format, Source
from .values import understood

LABEL_FIELDS = ("category", "label", "class", "name", "type")
"""Attributes that may name the category if a file has several; the first one present counts, in any case."""
_METADATA = "_via_img_metadata"
_WITHOUT_AREA = {"point": "points", "polyline": "polylines", "line": "lines"}
_SHAPES_3 = ("", "point", "rect", "circle", "ellipse", "line", "polyline", "polygon", "extreme_rect", "extreme_circle")
"""Shapes of VIA 3 by number."""
Region = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Shape and attributes of a region, as VIA 2 writes them."""


def _claims(source: Source) -> bool:
    if source.suffix == ".csv":
        with source.path.open(encoding="utf-8-sig", errors="replace") as file:
            return "region_shape_attributes" in file.readline(4096)
    keys = source.keys
    return _METADATA in keys or {"file", "view", "metadata"} <= keys or _is_plain_export(source)


def _is_plain_export(source: Source) -> bool:
    """Tell whether a JSON file maps keys to objects with `filename` and `regions`."""
    if not source.keys:
        return False
    return all(
        isinstance(value, dict) and {"filename", "regions"} <= value.keys() for value in source.document.values()
    )


def _read(source: Source) -> Iterator[AnnotatedImage]:
    with understood(source.shown, "a file of VGG Image Annotator"):
        if source.suffix == ".csv":
            regions = _regions_of_csv(source)
        elif "view" in source.keys:
            regions = _regions_of_3(source.document, source.shown)
        else:
            document = source.document
            regions = _regions_of_2(document.get(_METADATA, document), source.shown)
        field = source.options.label_field or _label_field(region for _, several in regions for region in several)
        for name, several in regions:
            yield _image(source, name, several, field)


FORMAT = Format("VGG Image Annotator (VIA 2 and 3)", _claims, _read)


def _regions_of_2(entries: Mapping[str, Any], place: str) -> list[tuple[str, list[Region]]]:
    found = []
    for key, entry in entries.items():
        regions = entry["regions"]
        listed = regions.values() if isinstance(regions, dict) else regions
        if not isinstance(entry["filename"], str):
            raise DataFormatError(f"{place}, {key!r}: the file name is not a text")
        found.append(
            (entry["filename"], [(region["shape_attributes"], region["region_attributes"]) for region in listed])
        )
    return found


def _regions_of_csv(source: Source) -> list[tuple[str, list[Region]]]:
    found: dict[str, list[Region]] = {}
    for number, row in enumerate(csv.DictReader(io.StringIO(source.text)), start=2):
        name = row.get("filename") or row.get("#filename") or ""
        with understood(f"{source.shown}, line {number}", "a line of VGG Image Annotator"):
            regions = found.setdefault(name, [])
            shape = json.loads(row["region_shape_attributes"])
            if shape:  # a picture without regions has one line with {}
                regions.append((shape, json.loads(row["region_attributes"])))
    return list(found.items())


def _regions_of_3(document: Mapping[str, Any], place: str) -> list[tuple[str, list[Region]]]:
    attributes = {str(key): value for key, value in (document.get("attribute") or {}).items()}
    views: dict[str, list[Region]] = {str(view): [] for view in document["view"]}
    for key, entry in document["metadata"].items():
        if str(entry["vid"]) not in views:
            raise DataFormatError(f"{place}, {key!r}: is of view {entry['vid']!r}, which is not listed")
        values = {}
        for number, value in entry["av"].items():
            attribute = attributes.get(str(number), {})
            options = attribute.get("options") or {}
            values[str(attribute.get("aname", number))] = options.get(str(value), value)
        views[str(entry["vid"])].append((_shape_of_3(entry), values))
    found = []
    for view, regions in views.items():
        files = [document["file"][str(number)] for number in document["view"][view]["fid_list"]]
        if len(files) != 1:
            raise DataFormatError(
                f"{place}, view {view!r}: shows {len(files)} files; annotate one picture in each view"
            )
        found.append((str(files[0]["fname"]), regions))
    return found


def _shape_of_3(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Write a region of VIA 3, a number and coordinates, as VIA 2 would."""
    if entry["z"]:
        return {"name": "time segments"}
    if not entry["xy"]:
        return {"name": "file attributes"}
    number, *values = entry["xy"]
    shape = _SHAPES_3[number] if isinstance(number, int) and 0 < number < len(_SHAPES_3) else str(number)
    xs, ys = values[::2], values[1::2]
    if shape == "rect":
        return dict(zip(("name", "x", "y", "width", "height"), (shape, *values), strict=True))
    if shape == "circle":
        return dict(zip(("name", "cx", "cy", "r"), (shape, *values), strict=True))
    if shape == "ellipse":
        return dict(zip(("name", "cx", "cy", "rx", "ry"), (shape, *values), strict=True))
    if shape == "extreme_rect":
        left, top = min(xs), min(ys)
        return {"name": "rect", "x": left, "y": top, "width": max(xs) - left, "height": max(ys) - top}
    if shape == "extreme_circle":
        x, y, radius = _circle_through(list(zip(xs, ys, strict=True)))
        return {"name": "circle", "cx": x, "cy": y, "r": radius}
    return {"name": shape, "all_points_x": xs, "all_points_y": ys}


def _circle_through(points: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Return the centre and the radius of the circle through three points.

    Raises:
        ValueError: they are not three points, or lie on a line.
    """
    (ax, ay), (bx, by), (cx, cy) = points
    bx, by, cx, cy = bx - ax, by - ay, cx - ax, cy - ay
    twice = 2 * (bx * cy - by * cx)
    if twice == 0:
        raise ValueError("the three points of a circle lie on a line")
    x = (cy * (bx * bx + by * by) - by * (cx * cx + cy * cy)) / twice
    y = (bx * (cx * cx + cy * cy) - cx * (bx * bx + by * by)) / twice
    return ax + x, ay + y, math.hypot(x, y)


def _label_field(regions: Iterable[Region]) -> str | None:
    """Return the attribute that holds the category: the only one, or else one of the usual names."""
    fields = dict.fromkeys(str(name) for _, attributes in regions for name in attributes)
    if len(fields) == 1:
        return next(iter(fields))
    folded = {name.casefold(): name for name in fields}
    usual = next((folded[name] for name in LABEL_FIELDS if name in folded), None)
    if usual is None and fields:
        raise DataFormatError(
            f"regions have several attributes ({', '.join(map(repr, fields))}); name the one that holds the category "
            "with --label-field"
        )
    return usual


def _image(source: Source, name: str, regions: Sequence[Region], field: str | None) -> AnnotatedImage:
    place = f"{source.shown}, image {name!r}"
    marks, skipped = [], Counter[str]()
    for number, (shape, attributes) in enumerate(regions, start=1):
        kind = str(shape["name"])
        if kind in ("time segments", "file attributes"):
            skipped[kind] += 1
        elif kind in _WITHOUT_AREA:
            skipped[_WITHOUT_AREA[kind]] += 1
        else:
            where = f"{place}, region {number}"
            label = _label(attributes.get(field), where) if field is not None else None
            marks.append(Mark(label, partial(_draw, shape, where, source.options.repair), where))
    return AnnotatedImage((name,), tuple(marks), place, skipped=skipped)


def _label(value: object, place: str) -> str | None:
    """Return the value of an attribute; of a checkbox, the only option that is ticked."""
    if isinstance(value, dict):
        ticked = [str(option) for option, on in value.items() if on]
        if len(ticked) > 1:
            raise DataFormatError(f"{place}: has several labels ({', '.join(ticked)}); leave one ticked")
        value = ticked[0] if ticked else None
    return None if value is None else str(value).strip() or None


def _draw(shape: Mapping[str, Any], place: str, repair: bool, height: int, width: int) -> Patch:
    kind = str(shape["name"])
    with understood(place, f"a {kind} of VGG Image Annotator"):
        if kind in ("circle", "ellipse"):
            across = shape["r"] if kind == "circle" else shape["rx"]
            down = shape["r"] if kind == "circle" else shape["ry"]
            values = [float(value) for value in (shape["cx"], shape["cy"], across, down)]
            x, y, across, down = checked_round(values, height, width, place, repair)
            theta = float(shape.get("theta") or 0)
            if not math.isfinite(theta):
                raise ValueError(f"theta is {theta}")
            return fill_ellipse((x, y), (across, down), theta, height, width)
        if kind == "rect":
            left, top = float(shape["x"]), float(shape["y"])
            right, bottom = left + float(shape["width"]), top + float(shape["height"])
            points = [(left, top), (right, top), (right, bottom), (left, bottom)]
        elif kind == "polygon":
            pairs = zip(shape["all_points_x"], shape["all_points_y"], strict=True)
            points = [(float(x), float(y)) for x, y in pairs]
        else:
            raise DataFormatError(f"{place}: is of the unknown kind {kind!r}")
        return Patch(fill_polygon(points, height, width, place, repair))
