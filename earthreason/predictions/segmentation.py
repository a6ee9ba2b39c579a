"""Conversion of every accepted form of a mask in a record to compressed run lengths.

pycocotools crashes on values that are not what it expects, so everything is checked before it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

from earthreason.masks.drawing import FARTHEST
from earthreason.masks.record import RLERecord
from earthreason.masks.rle import union_rles
from earthreason.types import RLE

SizeOf = Callable[[str], tuple[int, int] | None]
"""Function from a sample id to the (height, width) of its image in pixels, or None."""
ValidateRLE = Callable[[Any], RLERecord]
"""Function that validates {"size", "counts"} with text as counts; it raises ValueError."""
_MASK_KEYS = ("size", "counts")
_MOST_MASKS = 10_000
_MOST_PIXELS = (1 << 32) - 1
"""Most pixels of a mask that pycocotools encodes, because it stores runs in 32 bits."""
_OUTLINE_PER_SIDE = 100
"""Longest outline of a mask, in sums of height and width; pycocotools takes time and memory for every pixel of it."""
_RING = "a ring is [x1, y1, x2, y2, x3, y3, ...] in pixels"


def rle_of_record(value: Any, validate: ValidateRLE) -> RLE:
    """Convert {"size", "counts"}, where counts are the compressed text or bytes, or a list of run lengths.

    Raises:
        ValueError: the value is not a mask of its stated size. Compressed counts are not decoded.
    """
    counts = value.get("counts") if isinstance(value, dict) else None
    if isinstance(value, dict) and (other := [key for key in value if key not in _MASK_KEYS]):
        raise ValueError(f"unknown key {str(other[0])[:60]!r} in a mask, which has only 'size' and 'counts'; remove it")
    if isinstance(counts, np.ndarray):
        counts = counts.tolist()
    if isinstance(counts, bytes):
        try:
            value = {**value, "counts": counts.decode("ascii")}
        except UnicodeDecodeError:
            raise ValueError("counts as bytes are not ASCII; encode the mask again with pycocotools") from None
    if not isinstance(counts, list):
        record = validate(value)
        return RLE(size=record.size, counts=record.counts)
    record = validate({**value, "counts": ""})
    return compress_runs(counts, *record.size)


def compress_runs(runs: list[Any], height: int, width: int) -> RLE:
    """Compress run lengths in columns, of which the first is background; memory does not grow with the size.

    Raises:
        ValueError: the runs are not a mask of (height, width) pixels.
    """
    if set(map(type, runs)) - {int} or min(runs, default=0) < 0:
        raise ValueError("uncompressed counts are run lengths: whole numbers, none negative")
    if sum(runs) != height * width:
        raise ValueError(f"the run lengths in counts add up to {sum(runs)}, not to {height} x {width} pixels")
    if height * width > _MOST_PIXELS:
        raise ValueError("a mask of run lengths has fewer than 2^32 pixels; write compressed counts")
    joined = [0]  # runs of 0 pixels are left out, so that equal masks have equal text
    for number, run in enumerate(runs):
        if run and (len(joined) - 1) % 2 == number % 2:
            joined[-1] += run
        elif run:
            joined.append(run)
    encoded = coco.frPyObjects({"size": [height, width], "counts": joined}, height, width)
    return RLE(size=[height, width], counts=encoded["counts"].decode("ascii"))


def rles_of_list(masks: list[Any], validate: ValidateRLE) -> tuple[RLE, tuple[RLE, ...]]:
    """Convert a list of masks of one size to their union and the masks in order.

    Raises:
        ValueError: an entry is not a mask, or the sizes differ.
    """
    if len(masks) > _MOST_MASKS:
        raise ValueError(f"{len(masks)} masks in one prediction; at most {_MOST_MASKS} are accepted")
    rles = []
    for index, mask in enumerate(masks):
        try:
            if not isinstance(mask, dict):
                raise ValueError('expected {"size": [height, width], "counts": "..."}')
            rles.append(rle_of_record(mask, validate))
        except ValueError as error:
            raise ValueError(f"mask {index} of the list: {_first_line(error)}") from None
    return union_rles(rles), tuple(rles)


def _first_line(error: ValueError) -> str:
    faults = error.errors() if hasattr(error, "errors") else None  # pydantic's text has several lines
    if not faults:
        return str(error)
    where = ".".join(map(str, faults[0]["loc"]))
    return f"{where}: {faults[0]['msg']}" if where else str(faults[0]["msg"])


def rle_of_polygons(rings: Sequence[Any], size: tuple[int, int]) -> RLE:
    """Fill the rings [x1, y1, x2, y2, ...] as pycocotools does; the mask is their union.

    Args:
        rings: polygons in pixels of the image.
        size: (height, width) of the image in pixels.

    Raises:
        ValueError: a ring has fewer than three points, an odd number of values, or values that cannot be drawn.
    """
    if len(rings) > _MOST_MASKS:
        raise ValueError(f"{len(rings)} rings in one mask; at most {_MOST_MASKS} are accepted")
    if size[0] * size[1] > _MOST_PIXELS:
        raise ValueError("polygons are drawn in images of fewer than 2^32 pixels; write compressed counts")
    _refuse_no_polygons(rings, size)
    outline = sum(_check_ring(f"ring {index} of the polygons", ring) for index, ring in enumerate(rings))
    if outline > (longest := _OUTLINE_PER_SIDE * sum(size)):
        raise ValueError(
            f"the rings have outlines of {outline:.0f} pixels; at most {longest} are drawn in an image of this size"
        )
    encoded = coco.merge(coco.frPyObjects([[float(value) for value in ring] for ring in rings], *size))
    return RLE(size=[int(side) for side in encoded["size"]], counts=encoded["counts"].decode("ascii"))


def _refuse_no_polygons(rings: Sequence[Any], size: tuple[int, int]) -> None:
    """Refuse lists of numbers that could be drawn as polygons but are something else.

    Raises:
        ValueError: they are rows of pixels, or coordinates in fractions of the image.
    """
    if len(rings) == size[0] and all(isinstance(ring, list) and len(ring) == size[1] for ring in rings):
        raise ValueError("rows of pixels instead of polygons; encode the mask with pycocotools, or save it as PNG")
    values = [value for ring in rings if isinstance(ring, list) for value in ring]
    if any(type(value) is float and value % 1 for value in values) and all(
        type(value) in (int, float) and 0 <= value <= 1 for value in values
    ):
        raise ValueError(
            "coordinates from 0 to 1 are fractions of the image; multiply x by its width and y by its height"
        )


def _check_ring(place: str, ring: Any) -> float:
    """Check a ring and return the length of its outline in pixels."""
    if not isinstance(ring, list | tuple) or set(map(type, ring)) - {int, float}:
        raise ValueError(f"{place} is not a list of numbers; {_RING}")
    if len(ring) < 6 or len(ring) % 2:
        raise ValueError(f"{place} has {len(ring)} numbers; {_RING}, so an even number of at least 6")
    if not all(-FARTHEST <= value <= FARTHEST for value in ring):  # also false for NaN
        wrong = next(value for value in ring if not -FARTHEST <= value <= FARTHEST)
        raise ValueError(f"{place} has the coordinate {str(wrong)[:12]}; coordinates are pixels of the image")
    points = np.asarray(ring, np.float64).reshape(-1, 2)
    return float(np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum())
