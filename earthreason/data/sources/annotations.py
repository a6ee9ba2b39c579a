"""Draw the masks of annotation files: polygons and run lengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pycocotools import mask as coco

from earthreason.errors import DataFormatError, RLEError
from earthreason.masks.rle import decode_rle
from earthreason.types import RLE


def draw_polygons(polygons: list[list[float]], height: int, width: int) -> np.ndarray:
    """Fill COCO polygons [x1, y1, x2, y2, ...] as pycocotools does, as a (height, width) bool mask."""
    usable = [polygon for polygon in polygons if len(polygon) >= 6]
    if not usable:
        return np.zeros((height, width), bool)
    return coco.decode(coco.merge(coco.frPyObjects(usable, height, width))).astype(bool)


def mask_of_annotation(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Draw the mask of a COCO annotation: the union of its polygons, its RLE, or the union of its RLEs.

    Returns:
        (height, width) bool.

    Raises:
        DataFormatError: the annotation has none of these forms.
    """
    try:
        if isinstance(segmentation, dict):
            segmentation = [segmentation]
        if segmentation and isinstance(segmentation[0], dict):
            parts = [decode_rle(_compressed(part, height, width)) for part in segmentation]
            return np.logical_or.reduce(parts)
        return draw_polygons([[float(value) for value in polygon] for polygon in segmentation], height, width)
    except (RLEError, TypeError, ValueError, KeyError) as error:
        raise DataFormatError(f"not polygons and not an RLE of {height}x{width}: {error}") from None


def _compressed(rle: Mapping[str, Any], height: int, width: int) -> RLE:
    counts = rle["counts"]
    if list(rle["size"]) != [height, width]:
        raise ValueError(f"its size is {rle['size']}")
    if isinstance(counts, list):
        if sum(counts) != height * width or min(counts, default=0) < 0:
            raise ValueError("its runs do not fill the mask")
        counts = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)["counts"]
    return RLE(size=[height, width], counts=counts.decode("ascii") if isinstance(counts, bytes) else counts)
