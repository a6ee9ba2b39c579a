"""What all readers of annotation files share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotation_tools.drawing import Drawing, unite
from earthreason.errors import DataFormatError

NO_TARGET = "no target"
"""The label, flag or choice that says: I looked, and nothing answers."""


@dataclass(frozen=True)
class ReadOptions:
    """How a file is read.

    Attributes:
        category: only shapes of this label; None takes all, which must agree.
        repair: take invalid polygons as even-odd and cut them at the image's border, instead of refusing.
        unmarked_is_empty: an image that a file lists without any shape was looked at and holds no target.
    """

    category: str | None = None
    repair: bool = False
    unmarked_is_empty: bool = False


AS_STATED = ReadOptions()
MOST_PIXELS = 178_956_970
"""Of an image; Pillow refuses more, and a file that states more would take the memory for nothing."""
Shapes = list[tuple[str | None, np.ndarray]]


def drawing_of_shapes(
    image: str, shapes: Shapes, size: tuple[int, int], explicit_empty: bool, options: ReadOptions, place: str
) -> Drawing | None:
    """The drawing of the shapes of one image, or None where nobody has drawn.

    Args:
        image: id of the task.
        shapes: label and (height, width) mask of each.
        size: height and width, pixels.
        explicit_empty: somebody said that nothing answers.
        options: how to read.
        place: for errors.

    Raises:
        DataFormatError: labels disagree.
    """
    chosen = [(label, mask) for label, mask in shapes if options.category in (None, label)]
    if not chosen and not explicit_empty and not options.unmarked_is_empty:
        return None
    return unite(image, chosen, size, place)


def checked_size(height: object, width: object, place: str) -> tuple[int, int]:
    """Height and width that a file states.

    Raises:
        DataFormatError: not whole numbers from 1, or too many pixels.
    """
    try:
        size = int(str(height)), int(str(width))
    except ValueError:
        raise DataFormatError(f"{place}: its size {width!r} x {height!r} is not whole pixels") from None
    if min(size) < 1 or size[0] * size[1] > MOST_PIXELS:
        raise DataFormatError(f"{place}: {size[1]} x {size[0]} pixels; an image has 1 to {MOST_PIXELS:,}")
    return size


def stem(name: str) -> str:
    """The id of the task a picture's file name means."""
    return Path(name.replace("\\", "/")).stem
