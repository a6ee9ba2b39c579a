"""Read COCO panoptic annotations: JSON, and a folder of PNGs whose colours are the IDs of segments.

The ID is red + 256 * green + 65536 * blue. The PNGs are in a folder with the name of the JSON, or beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.data.pictures import open_picture
from earthreason.errors import DataFormatError

from .base import AnnotatedImage, Mark, Patch
from .coco import images_by_id, labels_by_id, names_of, size_of
from .runs import bounding_box
from .source import Format, Source
from .values import name_of, objects, understood, whole_number


def _claims(source: Source) -> bool:
    if not {"images", "annotations"} <= source.keys or not isinstance(source.document["annotations"], list):
        return False
    return any(isinstance(entry, dict) and "segments_info" in entry for entry in source.document["annotations"][:1])


def _read(source: Source) -> Iterator[AnnotatedImage]:
    table, place = source.document, source.shown
    with understood(place, "a COCO panoptic file"):
        images = images_by_id(table, place)
        labels = labels_by_id(table, place)
        by_image: dict[Any, dict[str, Any]] = {}
        for annotation in objects(table["annotations"], place, "'annotations'"):
            number = annotation.get("image_id")
            if number not in images:
                raise DataFormatError(f"{place}: annotations of image_id {number}, which is not listed")
            if number in by_image:
                raise DataFormatError(f"{place}: image {images[number]['file_name']!r} has two annotations; keep one")
            by_image[number] = annotation
        for number, image in images.items():
            yield _image(image, by_image.get(number, {}), labels, source)


FORMAT = Format("COCO panoptic", _claims, _read)


def _image(image: dict[str, Any], annotation: dict[str, Any], labels: dict[Any, str], source: Source) -> AnnotatedImage:
    place = f"{source.shown}, image {image['file_name']!r}"
    marks = []
    for segment in objects(annotation.get("segments_info"), place, "'segments_info'"):
        where = f"{place}, segment {segment.get('id')}"
        label = labels.get(segment.get("category_id"))
        marks.append(Mark(label, partial(_draw, source.path, annotation, segment, where), where))
    return AnnotatedImage(
        names=names_of(image),
        marks=tuple(marks),
        place=place,
        size=size_of(image),
    )


def _draw(
    path: Path, annotation: dict[str, Any], segment: dict[str, Any], place: str, height: int, width: int
) -> Patch:
    picture = _picture(path, name_of(annotation.get("file_name")) or "", place)
    facts = picture.stat()
    ids = _ids(picture, facts.st_mtime_ns, facts.st_size)
    if ids.shape != (height, width):
        raise DataFormatError(f"{place}: its PNG is {ids.shape[1]} x {ids.shape[0]} pixels, not {width} x {height}")
    mask = ids == whole_number(segment.get("id"), place, "the id")
    if not mask.any():
        return Patch(mask[:1, :1])
    left, top, across, down = bounding_box(mask)
    return Patch(mask[top : top + down, left : left + across], top, left)


def _picture(path: Path, name: str, place: str) -> Path:
    for picture in (path.with_suffix("") / name, path.parent / name):
        with understood(place, "the name of a PNG"), suppress(OSError):  # a name that no file can have
            if name and picture.is_file():
                return picture
    name = name[:80]
    raise DataFormatError(
        f"{place}: there is no PNG {name!r} in {path.with_suffix('')} or {path.parent}; put the PNGs there"
    )


@lru_cache(maxsize=1)  # the segments of an image follow each other
def _ids(picture: Path, changed: int, length: int) -> np.ndarray:
    """Return the IDs of segments by pixel; time of change and length only tell apart what a file held and holds."""
    with understood(str(picture), "a readable PNG"):
        try:
            image = open_picture(picture.read_bytes())
        except OSError as error:
            raise DataFormatError(f"{picture}: not a readable PNG ({error})") from None
        if image.mode not in ("RGB", "RGBA"):
            raise DataFormatError(f"{picture}: has no three channels, which hold the IDs of segments")
        red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")).astype(np.int64), -1, 0)
    return red + 256 * green + 65536 * blue
