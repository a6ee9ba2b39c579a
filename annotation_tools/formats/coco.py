"""Read COCO annotation files: polygons, compressed and uncompressed RLE. `earthreason.data.exports` writes them.

Polygons are filled by pycocotools, as in every other reader of COCO. Along the outline, its choice of pixels differs
from the rule that a pixel's centre must be inside. It fills self-intersecting polygons by the even-odd rule and clips
at the image border, as `--repair` requires.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from annotation_tools.drawing import Drawing
from annotation_tools.formats.base import AS_STATED, ReadOptions, checked_size, drawing_of_shapes, stem
from annotation_tools.formats.polygons import checked_polygon
from earthreason.data.sources.annotations import mask_of_annotation
from earthreason.data.sources.base import named
from earthreason.errors import DataFormatError


def read_coco(path: Path, options: ReadOptions = AS_STATED) -> list[Drawing]:
    """Read one drawing per image; an image without annotations has one only if its facts or the options say so.

    Raises:
        DataFormatError: the file is not COCO, or a shape cannot become a mask; the message names the annotation.
    """
    with named(path, "a COCO annotation file"):
        table = json.loads(path.read_text(encoding="utf-8-sig"))
        categories = {entry["id"]: str(entry["name"]) for entry in table.get("categories", [])}
        by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for annotation in table["annotations"]:
            by_image[annotation["image_id"]].append(annotation)
        unknown = set(by_image) - {image["id"] for image in table["images"]}
        if unknown:
            raise DataFormatError(f"{path}: annotations of image_id {sorted(unknown, key=str)[0]}, which is not listed")
        drawings = []
        for image in table["images"]:
            name = f"{path}, image {image['file_name']!r}"
            size = checked_size(image["height"], image["width"], name)
            shapes = [
                (
                    categories.get(entry.get("category_id")),
                    _mask(entry, size, f"{name}, annotation {entry['id']}", options),
                )
                for entry in by_image[image["id"]]
            ]
            facts = image.get("earthreason") or {}
            key = str(facts.get("sample_id") or stem(image["file_name"]))
            drawing = drawing_of_shapes(key, shapes, size, bool(facts.get("is_empty")), options, name)
            drawings += [] if drawing is None else [drawing]
        return drawings


def _mask(annotation: dict[str, Any], size: tuple[int, int], place: str, options: ReadOptions) -> np.ndarray:
    segmentation = annotation["segmentation"]
    if isinstance(segmentation, list) and segmentation and not isinstance(segmentation[0], dict):
        rings = [np.asarray(ring, np.float64).reshape(-1, 2).tolist() for ring in segmentation]
        for ring in rings:
            checked_polygon(ring, *size, place, options.repair)
    try:
        return mask_of_annotation(segmentation, *size)
    except DataFormatError as error:
        raise DataFormatError(f"{place}: {error}") from None
