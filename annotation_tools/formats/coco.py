"""Read COCO annotation files: polygons, compressed and uncompressed RLE. `earthreason.data.exports` writes them.

Polygons are filled by pycocotools, as in every other reader of COCO. Along the outline, its choice of pixels differs
from the rule that a pixel's centre must be inside. It fills self-intersecting polygons by the even-odd rule and clips
at the image border, as `--repair` requires.

Crowd regions are read like other ones: CVAT and Datumaro write every brush mask as one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from pycocotools import mask as reference

from earthreason.errors import DataFormatError, RLEError
from earthreason.masks.kernel import foreground_boundaries
from earthreason.masks.rle import union_rles, validate_rle
from earthreason.types import RLE

from .base import AnnotatedImage, Mark, Patch
from .polygons import checked_polygon
from .source import Format, Source
from .values import name_of, objects, pairs_of, understood

_LONGEST = 2_000_000
"""Longest outline in pixels; pycocotools keeps five points of each pixel in memory."""


def _read(source: Source) -> Iterator[AnnotatedImage]:
    table, place = source.document, source.shown
    with understood(place, "a COCO annotation file"):
        images = images_by_id(table, place)
        labels = labels_by_id(table, place)
        by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for annotation in objects(table["annotations"], place, "'annotations'"):
            by_image[annotation.get("image_id")].append(annotation)
        unknown = [name for name in by_image if name not in images]
        if unknown:
            raise DataFormatError(f"{place}: annotations of image_id {unknown[0]}, which is not listed")
        for number, image in images.items():
            yield _image(image, by_image[number], labels, source)


def _image(
    image: dict[str, Any], annotations: list[dict[str, Any]], labels: dict[Any, str], source: Source
) -> AnnotatedImage:
    place = f"{source.shown}, image {image['file_name']!r}"
    marks: list[Mark] = []
    skipped: Counter[str] = Counter()
    for entry in annotations:
        if kind := _without_mask(entry):
            skipped[kind] += 1
            continue
        where = f"{place}, annotation {entry.get('id')}"
        marks.append(Mark(labels.get(entry.get("category_id")), partial(draw, entry, where, source.options), where))
    facts = image["earthreason"] if isinstance(image.get("earthreason"), dict) else {}
    return AnnotatedImage(
        names=names_of(image),
        marks=tuple(marks),
        place=place,
        size=size_of(image),
        says_empty=facts.get("is_empty") is True,
        task=name_of(facts.get("sample_id")),
        skipped=skipped,
    )


FORMAT = Format("COCO", lambda source: {"images", "annotations"} <= source.keys, _read)


def images_by_id(table: dict[str, Any], place: str) -> dict[Any, dict[str, Any]]:
    """Return the listed images by ID.

    Raises:
        DataFormatError: an image has no file name, or two have one ID or one file name.
    """
    images: dict[Any, dict[str, Any]] = {}
    ids: dict[str, object] = {}
    for image in objects(table["images"], place, "'images'"):
        number, name = image.get("id"), name_of(image.get("file_name"))
        if not isinstance(number, int | str) or isinstance(number, bool) or name is None:
            raise DataFormatError(f"{place}: an image needs 'id' and 'file_name', which {str(image)[:80]} lacks")
        if number in images:
            raise DataFormatError(
                f"{place}: images {images[number]['file_name']!r} and {name!r} have the same id {number}, so it is not "
                "known whose annotations are whose; number them anew"
            )
        if name in ids:
            raise DataFormatError(
                f"{place}: images {ids[name]} and {number} have the same file name {name!r}; give their folders, or "
                "leave one out"
            )
        images[number], ids[name] = image, number
    return images


def labels_by_id(table: dict[str, Any], place: str) -> dict[Any, str]:
    """Return the names of the categories by ID.

    Raises:
        DataFormatError: two categories have one ID.
    """
    labels: dict[Any, str] = {}
    for entry in objects(table.get("categories"), place, "'categories'"):
        number, name = entry["id"], str(entry["name"])
        if labels.get(number, name) != name:
            raise DataFormatError(f"{place}: categories {labels[number]!r} and {name!r} have the same id {number}")
        labels[number] = name
    return labels


def names_of(image: dict[str, Any]) -> tuple[str, ...]:
    """Return the file name of an image, and the name before Roboflow changed it."""
    extra = image.get("extra")
    recorded = name_of(extra.get("name")) if isinstance(extra, dict) else None
    return (str(image["file_name"]), *([recorded] if recorded else ()))


def size_of(image: dict[str, Any]) -> tuple[object, object] | None:
    """Return the height and width that are stated, None if neither is."""
    return (image.get("height"), image.get("width")) if {"height", "width"} & image.keys() else None


def _without_mask(entry: dict[str, Any]) -> str:
    """Return what an annotation that was never meant to have a mask is; empty for others."""
    if entry.get("segmentation") or (entry.get("segmentation") == [] and not entry.get("keypoints")):
        return ""
    for key, kind in (("keypoints", "keypoints"), ("bbox", "boxes without a mask"), ("caption", "captions")):
        if entry.get(key):
            return kind
    return ""


def draw(annotation: dict[str, Any], place: str, options: Any, height: int, width: int) -> Patch:
    """Rasterise an annotation as pycocotools does: the union of its polygons or of its RLEs.

    Raises:
        DataFormatError: it has no mask, or a broken one; names its place.
    """
    segmentation = annotation.get("segmentation")
    if not segmentation:
        box = "it has a box but no mask" if annotation.get("bbox") else "it has no mask"
        raise DataFormatError(f"{place}: {box}; draw the mask, or leave the annotation out")
    if isinstance(segmentation, list) and not isinstance(segmentation[0], list | dict):
        segmentation = [segmentation]
    parts = segmentation if isinstance(segmentation, list) else [segmentation]
    if isinstance(parts[0], dict):
        rle = union_rles([_checked(part, place, height, width) for part in parts])
    else:
        rle = _filled([_ring(part, place, options.repair, height, width) for part in parts], place, height, width)
    return patch_of_rle(rle)


def _ring(part: object, place: str, repair: bool, height: int, width: int) -> list[float]:
    points = pairs_of(part, place)
    checked_polygon(points.tolist(), height, width, place, repair)
    length = np.abs(points - np.roll(points, 1, axis=0)).sum()
    if length > _LONGEST:
        raise DataFormatError(f"{place}: the outline is {length:.3g} px long, far more than a picture has")
    return list(map(float, points.ravel()))


def _filled(rings: list[list[float]], place: str, height: int, width: int) -> RLE:
    with understood(place, "polygons"):
        merged = reference.merge(reference.frPyObjects(rings, height, width))
    return RLE(size=[height, width], counts=merged["counts"].decode("ascii"))


def _checked(part: object, place: str, height: int, width: int) -> RLE:
    """Return an RLE in the compressed form once it is known to be a mask of the image."""
    with understood(place, "an RLE with 'size' and 'counts'"):
        size, counts = list(part["size"]), part["counts"]  # type: ignore[index]
        if size != [height, width]:
            raise DataFormatError(f"{place}: the RLE is of {size[1]} x {size[0]} pixels, not {width} x {height}")
        if isinstance(counts, list):
            wrong = not all(isinstance(run, int) and not isinstance(run, bool) and run >= 0 for run in counts)
            if wrong or sum(counts) != height * width:
                raise DataFormatError(f"{place}: the runs of the RLE do not fill {width} x {height} pixels")
            counts = reference.frPyObjects({"size": size, "counts": counts}, height, width)["counts"].decode("ascii")
        rle = RLE(size=[height, width], counts=counts)
        try:
            validate_rle(rle)
        except RLEError as error:
            raise DataFormatError(f"{place}: {error}") from None
        return rle


def patch_of_rle(rle: RLE) -> Patch:
    """Decode only the part of a mask that its foreground spans."""
    height = rle["size"][0]
    bounds = foreground_boundaries(rle)
    if not bounds.size:
        return Patch(np.zeros((1, 1), bool))
    left, right = int(bounds[0] // height), int((bounds[-1] - 1) // height) + 1
    steps = np.zeros((right - left) * height + 1, np.int8)
    steps[bounds[::2] - left * height] += 1
    steps[bounds[1::2] - left * height] -= 1
    columns = np.cumsum(steps[:-1], dtype=np.int8).astype(bool).reshape(right - left, height)
    rows = np.flatnonzero(columns.any(axis=0))
    return Patch(columns[:, rows[0] : rows[-1] + 1].T, int(rows[0]), left)
