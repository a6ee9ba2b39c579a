"""What all readers of annotation files share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotation_tools.drawing import Drawing, unite

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


def stem(name: str) -> str:
    """The id of the task a picture's file name means."""
    return Path(name.replace("\\", "/")).stem
