"""Options and checks shared by all readers of annotation files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotation_tools.drawing import Drawing, unite
from earthreason.errors import DataFormatError

NO_TARGET = "no target"
"""Label, flag or choice with which an annotator states that an image has no target."""


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading an annotation file.

    Attributes:
        category: label of the shapes to read; None reads all shapes, which must then have the same label.
        repair: fill invalid polygons even-odd and clip them at the image border instead of refusing them.
        unmarked_is_empty: count an image that is listed without shapes as one without a target.
    """

    category: str | None = None
    repair: bool = False
    unmarked_is_empty: bool = False


AS_STATED = ReadOptions()
MOST_PIXELS = 178_956_970
"""Largest image, in pixels. Pillow refuses more, and a false size in a file would only waste memory."""
Shapes = list[tuple[str | None, np.ndarray]]


def drawing_of_shapes(
    image: str, shapes: Shapes, size: tuple[int, int], explicit_empty: bool, options: ReadOptions, place: str
) -> Drawing | None:
    """Merge the shapes of one image into a drawing; return None if the image was not annotated.

    Args:
        image: task ID.
        shapes: label and (height, width) bool mask of each shape.
        size: height and width of the image, pixels.
        explicit_empty: whether the file states that the image has no target.
        options: reading options.
        place: location for error messages.

    Raises:
        DataFormatError: the shapes have different labels.
    """
    chosen = [(label, mask) for label, mask in shapes if options.category in (None, label)]
    if not chosen and not explicit_empty and not options.unmarked_is_empty:
        return None
    return unite(image, chosen, size, place)


def checked_size(height: object, width: object, place: str) -> tuple[int, int]:
    """Check the image size stated in a file; return height and width in pixels.

    Raises:
        DataFormatError: a side is not a whole number from 1, or the image has too many pixels.
    """
    try:
        size = int(str(height)), int(str(width))
    except ValueError:
        raise DataFormatError(f"{place}: the size {width!r} x {height!r} is not in whole pixels") from None
    if min(size) < 1 or size[0] * size[1] > MOST_PIXELS:
        raise DataFormatError(f"{place}: {size[1]} x {size[0]} pixels; an image must have 1 to {MOST_PIXELS:,}")
    return size


def stem(name: str) -> str:
    """Return the task ID for the file name of a picture: the name without folders and suffix."""
    return Path(name.replace("\\", "/")).stem
