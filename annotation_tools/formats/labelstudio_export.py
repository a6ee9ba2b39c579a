"""Read exports of Label Studio in the formats JSON and JSON-MIN, of our projects and of other ones.

Predictions, drafts and cancelled annotations were not submitted by anyone; they are left out and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from earthreason.errors import DataFormatError

from ..images import SUFFIXES
from .base import NO_TARGET, AnnotatedImage
from .labelstudio import CATEGORY, IMAGE, entry_of_results, people_of_export, provenance_of
from .matching import plain_path
from .source import Format, Source
from .values import mapping, name_of, objects, understood

_SHAPES = {"rle": "brushlabels", "imageDataURL": "bitmasklabels", "radiusX": "ellipselabels", "points": "polygonlabels"}
"""Type of a region without labels in JSON-MIN, by a key of its value."""
_KINDS = (*_SHAPES.values(), "rectanglelabels", "keypointlabels", "vectorlabels")
_BARE = ("brush", "bitmask", "ellipse", "polygon", "rectangle")
_ABOUT = ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement", "history")
"""Keys of JSON-MIN that are neither the task's data nor results."""


def _claims(source: Source) -> bool:
    return source.suffix == ".json" and isinstance(source.document, list)


def _read(source: Source) -> Iterator[AnnotatedImage]:
    place = source.shown
    with understood(place, "an export of Label Studio as JSON"):
        tasks = objects(source.document, place, "tasks of Label Studio")
        people = people_of_export({**task, "annotations": _annotations(task, place)} for task in tasks)
        for number, task in enumerate(tasks, start=1):
            where = f"{place}, task {number}"
            if "data" in task:
                yield from _of_task(task, where, source, people)
            else:
                yield _of_row(task, where, source)


FORMAT = Format("Label Studio (JSON, JSON-MIN)", _claims, _read)


def _annotations(task: dict[str, Any], place: str) -> list[dict[str, Any]]:
    # Before Label Studio 1.0 they were called completions.
    return objects(task.get("annotations", task.get("completions")), place, "'annotations'")


def _of_task(task: dict[str, Any], place: str, source: Source, people: dict[int, str]) -> Iterator[AnnotatedImage]:
    """Yield one entry per annotation, and one that only counts if there is nothing else."""
    data = mapping(task["data"], place, "'data'")
    names = _names(data, place, task.get("file_upload"))
    annotations = _annotations(task, place)
    submitted = [entry for entry in annotations if not entry.get("was_cancelled")]
    left_out = {
        "predictions": task.get("predictions"),
        "drafts": [*_listed(task.get("drafts")), *(draft for e in annotations for draft in _listed(e.get("drafts")))],
        "cancelled annotations": annotations[len(submitted) :],
    }
    counts = Counter({kind: len(_listed(entries)) for kind, entries in left_out.items() if _listed(entries)})
    for annotation in submitted:
        results = _labelled(objects(annotation.get("result"), place, "'result'"))
        entry = entry_of_results(results, names, place, source.options.repair)
        key = name_of(annotation.get("unique_id")) or name_of(annotation.get("id")) or ""
        yield replace(
            entry,
            size=_size(data, results),
            task=name_of(data.get("task")),
            facts=_facts(annotation, people, place) | {"key": key},
        )
    if counts:
        yield AnnotatedImage(names, (), place, skipped=counts)


def _labelled(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give regions that were drawn without a label the one that was given to them by a control `Labels`."""
    given = {
        str(result.get("id")): result["value"].get("labels")
        for result in results
        if result.get("type") == "labels" and isinstance(result.get("value"), dict)
    }
    return [
        {**result, "type": f"{kind}labels", "value": {**value, f"{kind}labels": given.get(str(result.get("id")))}}
        if kind in _BARE and isinstance(value, dict)
        else result
        for result in results
        if (kind := result.get("type")) != "labels"
        for value in [result.get("value")]
    ]


def _of_row(row: dict[str, Any], place: str, source: Source) -> AnnotatedImage:
    """Read a row of JSON-MIN: one annotation, whose results are listed by the name of their control."""
    results: list[dict[str, Any]] = []
    for name, value in row.items():
        if name in _ABOUT:
            continue
        if isinstance(value, list):
            results += [_result(name, entry) for entry in value if isinstance(entry, dict)]
        choices = value.get("choices") if isinstance(value, dict) else value
        if isinstance(choices, str):
            choices = [choices]
        if isinstance(choices, list) and choices and (name == CATEGORY or NO_TARGET in choices):
            results.append({"from_name": name, "type": "choices", "value": {"choices": choices}})
    entry = entry_of_results(results, _names(row, place, None), place, source.options.repair)
    facts = _facts({**row, "completed_by": row.get("annotator")}, {}, place)
    return replace(
        entry,
        size=_size(row, results),
        task=name_of(row.get("task")),
        facts=facts | {"key": name_of(row.get("annotation_id")) or ""},
    )


def _facts(annotation: dict[str, Any], people: dict[int, str], place: str) -> dict[str, Any]:
    try:
        return provenance_of(annotation, people)
    except DataFormatError as error:
        raise DataFormatError(f"{place}: {error}") from None


def _result(name: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return a result as in the format JSON."""
    kind = next((kind for kind in _KINDS if kind in value), None)
    kind = kind or next((kind for key, kind in _SHAPES.items() if key in value), None)
    kind = kind or ("rectanglelabels" if {"x", "y", "width", "height"} <= value.keys() else str(value.get("type", "")))
    size: dict[str, Any] = {key: value[key] for key in ("original_width", "original_height") if key in value}
    return {"from_name": name, "type": kind.lower(), "value": value, **size}


def _names(data: dict[str, Any], place: str, upload: object) -> tuple[str, ...]:
    """Return the names of the picture: what `image` says, or else every text of the task that is a picture's name.

    Raises:
        DataFormatError: there is none.
    """
    said = name_of(data.get(IMAGE))
    named = [said] if said else [text for text in data.values() if isinstance(text, str) and _is_picture(text)]
    names = (*named, *([upload] if isinstance(upload, str) and upload else ()))
    if not names:
        raise DataFormatError(f"{place}: has no picture in its data; not an export of Label Studio about images")
    return names


def _is_picture(text: str) -> bool:
    return PurePosixPath(plain_path(text)).suffix.lower() in SUFFIXES


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _size(data: dict[str, Any], results: list[dict[str, Any]]) -> tuple[object, object] | None:
    """Return the size that the task or one of its results states; shapes check that each was drawn at that size."""
    for source, names in ((data, ("height", "width")), *((r, ("original_height", "original_width")) for r in results)):
        if all(isinstance(source.get(name), int) for name in names):
            return source[names[0]], source[names[1]]
    return None
