"""Draw the masks of annotation files: polygons and run lengths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from earthreason.data.pictures import ANOTHER_SIZE, size_of
from earthreason.errors import DataFormatError, RLEError
from earthreason.masks.drawing import FARTHEST
from earthreason.masks.rle import MAX_SIDE, decode_rle
from earthreason.types import RLE

_LONGEST = 20 * MAX_SIDE
"""Longest outline in pixels; pycocotools keeps five points of each pixel in memory."""


def draw_polygons(polygons: list[list[float]], height: int, width: int) -> np.ndarray:
    """Fill COCO polygons [x1, y1, x2, y2, ...] as pycocotools does, as a (height, width) bool mask.

    Raises:
        ValueError: an outline is far longer than that of a picture, or not a number.
    """
    usable = [polygon for polygon in polygons if len(polygon) >= 6]
    if not usable:
        return np.zeros((height, width), bool)
    for polygon in usable:
        length = np.abs(np.subtract(polygon, polygon[-2:] + polygon[:-2])).sum()
        if not length <= _LONGEST:  # NaN is refused too
            raise ValueError(f"the outline of a polygon is {length:.3g} px long, far more than a picture has")
    return coco.decode(coco.merge(coco.frPyObjects(usable, height, width))).astype(bool)


def mask_of_annotation(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Draw the mask of a COCO annotation: the union of its polygons, its RLE, or the union of its RLEs.

    Returns:
        (height, width) bool.

    Raises:
        DataFormatError: the annotation has none of these forms.
    """
    size = (height, width)
    with _a_mask_of(size):
        parts = _parts_of(segmentation)
        if parts and isinstance(parts[0], dict):
            return np.logical_or.reduce([_decoded(part, size) for part in parts])
        return draw_polygons([[float(value) for value in polygon] for polygon in parts], *size)


def mask_of_single_cover(segmentation: Any, size: tuple[int, int], stated: tuple[int, int]) -> np.ndarray:
    """Draw the pixels that exactly one part of a COCO annotation covers, as RMSIN's reader of RRSIS-D does.

    It sums the masks of all parts, polygons or RLEs, and takes the pixels whose sum is 1.

    Args:
        segmentation: as in `mask_of_annotation`; a polygon with less than three vertices covers nothing.
        size: (height, width) of the image in pixels.
        stated: (height, width) that the annotation was made for. If it differs from `size`, vertices are scaled, and
            RLEs are resized to the nearest pixel.

    Returns:
        (height, width) bool.

    Raises:
        DataFormatError: the annotation has none of the forms.
    """
    covers = np.zeros(size, np.uint16)
    with _a_mask_of(stated):
        for part in _parts_of(segmentation):
            if isinstance(part, dict):
                mask = _decoded(part, size if list(part["size"]) == list(size) else stated)
                covers += mask if mask.shape == size else _resized(mask, size)
            else:
                scaled = [float(value) * size[1 - at % 2] / stated[1 - at % 2] for at, value in enumerate(part)]
                covers += draw_polygons([scaled], *size)
    return covers == 1


@contextmanager
def _a_mask_of(size: tuple[int, int]) -> Iterator[None]:
    try:
        yield
    except (RLEError, TypeError, ValueError, KeyError, OverflowError) as error:
        raise DataFormatError(f"not polygons and not an RLE of {size[0]}x{size[1]}: {error}") from None


def _parts_of(segmentation: Any) -> list[Any]:
    """Return the polygons or RLEs of an annotation, which may be a single one."""
    if isinstance(segmentation, dict):
        return [segmentation]
    if not isinstance(segmentation, list):
        raise ValueError(f"it is a {type(segmentation).__name__}")
    return [segmentation] if segmentation and isinstance(segmentation[0], int | float) else segmentation


def _resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize as PIL's nearest, which RMSIN uses: it samples the centres of pixels."""
    return np.asarray(Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST))


def _decoded(part: Mapping[str, Any], size: tuple[int, int]) -> np.ndarray:
    return decode_rle(_compressed(part, *size))


def _compressed(rle: Mapping[str, Any], height: int, width: int) -> RLE:
    counts = rle["counts"]
    if list(rle["size"]) != [height, width]:
        raise ValueError(f"its size is {rle['size']}")
    if isinstance(counts, list):
        if sum(counts) != height * width or min(counts, default=0) < 0:
            raise ValueError("its runs do not fill the mask")
        counts = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)["counts"]
    return RLE(size=[height, width], counts=counts.decode("ascii") if isinstance(counts, bytes) else counts)


def check_stated_size(stated: tuple[Any, Any], picture: Path, place: str) -> None:
    """Check the (height, width) that an annotation states before a mask of that size is made.

    A turned picture is accepted, because its header may state the sides before it is turned.

    Raises:
        DataFormatError: the picture has another size.
    """
    height, width = size_of(picture)
    if stated not in ((height, width), (width, height)):
        raise DataFormatError(
            f"{place}: the mask is {stated[0]}x{stated[1]} (height x width), but {picture.name} is {height}x{width}",
            ANOTHER_SIZE,
        )


def mask_of_rle(rle: Any, picture: Path, place: str) -> np.ndarray:
    """Decode an RLE of a picture, compressed or not, as (height, width) bool.

    Raises:
        DataFormatError: it is broken, or the picture has another size.
    """
    try:
        height, width = rle["size"]
        check_stated_size((height, width), picture, place)
        return mask_of_annotation(rle, height, width)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        if isinstance(error, DataFormatError) and error.reason == ANOTHER_SIZE:
            raise
        raise DataFormatError(f"{place}: a mask is broken: {error}", "broken mask") from None


def vertices_of(polygon: Any, place: str) -> np.ndarray:
    """Return the numbers of a polygon as float64, in the shape of the nested lists.

    Raises:
        DataFormatError: a value is no number, or is far outside of every picture.
    """
    try:
        values = np.asarray(polygon)
        if values.dtype.kind not in "iuf" and values.size:
            raise ValueError(f"{values.dtype} instead of numbers")
        values = values.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise DataFormatError(f"{place}: a polygon is a list of coordinates ({error})", "broken polygon") from None
    if not (np.abs(values) <= FARTHEST).all():  # NaN is outside too
        raise DataFormatError(f"{place}: a polygon has a vertex far outside of every picture", "broken polygon")
    return values
