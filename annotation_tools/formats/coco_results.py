"""Read COCO results: what a model predicted, a list of {image_id, category_id, segmentation, score}.

A list of results names neither files nor categories. They are those of the only COCO annotation file beside it, or
else the image's ID is its name.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.files import visible_files

from .base import AnnotatedImage, Mark
from .coco import draw, images_by_id, labels_by_id, names_of, size_of
from .source import Format, Source
from .values import name_of, objects, understood

LOWEST_SCORE = 0.5
"""Results with a lower score are left out and counted."""
_DIGITS = 12
"""COCO writes the number of an image with leading zeros in its file name."""


def _claims(source: Source) -> bool:
    if source.suffix != ".json" or not isinstance(source.document, list) or not source.document:
        return False
    first = source.document[0]
    return isinstance(first, dict) and "image_id" in first and bool({"segmentation", "bbox", "score"} & first.keys())


def _read(source: Source) -> Iterator[AnnotatedImage]:
    place = source.shown
    with understood(place, "a list of COCO results"):
        images, labels = _tables(source)
        by_image: dict[Any, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        for number, result in enumerate(objects(source.document, place, "results"), start=1):
            if name_of(result.get("image_id")) is None:
                raise DataFormatError(f"{place}, result {number}: has no image_id")
            by_image[result["image_id"]].append((number, result))
        for image, results in by_image.items():
            yield _image(image, results, images, labels, source)


FORMAT = Format("COCO results", _claims, _read)


def _image(
    image: object,
    results: list[tuple[int, dict[str, Any]]],
    images: dict[Any, dict[str, Any]],
    labels: dict[Any, str],
    source: Source,
) -> AnnotatedImage:
    skipped: Counter[str] = Counter()
    marks = []
    for number, result in results:
        where = f"{source.shown}, image {image!r}, result {number}"
        if result.get("segmentation") is None:
            skipped["boxes without a mask"] += 1
            continue
        score = result.get("score", 1.0)
        if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
            raise DataFormatError(f"{where}: the score must be a number from 0 to 1, not {str(score)[:40]!r}")
        if score < LOWEST_SCORE:
            skipped[f"results with a score below {LOWEST_SCORE}"] += 1
            continue
        category = result.get("category_id")
        label = labels.get(category, f"category {category}") if isinstance(category, int | str) else None
        marks.append(Mark(label, partial(draw, result, where, source.options), where))
    names = (str(image), *([f"{image:0{_DIGITS}d}"] if isinstance(image, int) else ()))
    listed = images.get(image)
    return AnnotatedImage(
        names=names if listed is None else names_of(listed),
        marks=tuple(marks),
        place=f"{source.shown}, image {image!r}",
        size=None if listed is None else size_of(listed),
        skipped=skipped,
    )


def _tables(source: Source) -> tuple[dict[Any, dict[str, Any]], dict[Any, str]]:
    """Return images and categories of the only annotation file in the folder; both are empty if there is none.

    Raises:
        DataFormatError: there are several, which may number the images differently.
    """
    found = []
    for path in visible_files(source.path.parent, "*.json"):
        beside = replace(source, path=path, shown=str(path))
        try:
            if {"images", "annotations"} <= beside.keys:
                found.append(beside)
        except EarthReasonError:  # another file, which nobody asked for
            continue
    if len(found) > 1:
        raise DataFormatError(
            f"{source.shown}: {found[0].path.name} and {found[1].path.name} beside it both list images; leave the one "
            "of these results there"
        )
    if not found:
        return {}, {}
    table = found[0].document
    return images_by_id(table, found[0].shown), labels_by_id(table, found[0].shown)
