"""Read COCO annotation files: polygons, compressed and uncompressed RLE. `earthreason.data.exports` writes them.

Polygons are filled by pycocotools, as in every other reader of COCO. Along the outline, its choice of pixels differs
from the rule that a pixel's centre must be inside. It fills self-intersecting polygons by the even-odd rule and clips
at the image border, as `--repair` requires.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from annotation_tools.formats.base import AnnotatedImage, Mark, Patch, checked_size
from annotation_tools.formats.polygons import checked_polygon
from annotation_tools.formats.source import Format, Source
from earthreason.data.sources.annotations import mask_of_annotation
from earthreason.data.sources.base import named
from earthreason.errors import DataFormatError


def _read(source: Source) -> Iterator[AnnotatedImage]:
    table = source.document
    with named(Path(source.shown), "a COCO annotation file"):
        categories = {entry["id"]: str(entry["name"]) for entry in table.get("categories", [])}
        by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for annotation in table["annotations"]:
            by_image[annotation["image_id"]].append(annotation)
        unknown = set(by_image) - {image["id"] for image in table["images"]}
        if unknown:
            first = sorted(unknown, key=str)[0]
            raise DataFormatError(f"{source.shown}: annotations of image_id {first}, which is not listed")
        for image in table["images"]:
            place = f"{source.shown}, image {image['file_name']!r}"
            marks = []
            for entry in by_image[image["id"]]:
                where = f"{place}, annotation {entry['id']}"
                label = categories.get(entry.get("category_id"))
                marks.append(Mark(label, partial(_draw, entry, where, source.options.repair), where))
            facts = image.get("earthreason") or {}
            yield AnnotatedImage(
                names=tuple(str(name) for name in (image["file_name"], (image.get("extra") or {}).get("name")) if name),
                marks=tuple(marks),
                place=place,
                size=checked_size(image["height"], image["width"], place),
                says_empty=bool(facts.get("is_empty")),
                task=facts.get("sample_id"),
            )


FORMAT = Format("COCO", lambda source: {"images", "annotations"} <= source.keys, _read)


def _draw(annotation: dict[str, Any], place: str, repair: bool, height: int, width: int) -> Patch:
    segmentation = annotation["segmentation"]
    if isinstance(segmentation, list) and segmentation and not isinstance(segmentation[0], dict):
        rings = [np.asarray(ring, np.float64).reshape(-1, 2).tolist() for ring in segmentation]
        for ring in rings:
            checked_polygon(ring, height, width, place, repair)
    try:
        return Patch(mask_of_annotation(segmentation, height, width))
    except DataFormatError as error:
        raise DataFormatError(f"{place}: {error}") from None
