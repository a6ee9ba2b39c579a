"""What a reader of annotation files yields: the marks of images, before they are rasterised and become drawings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..drawing import Drawing, unite
from ..sizes import checked_size as checked_size

NO_TARGET = "no target"
"""Label, flag or choice with which an annotator states that an image has no target."""


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading annotation files.

    Attributes:
        category: label of the marks to read; None reads all.
        repair: fill invalid polygons even-odd and clip them at the image border instead of refusing them.
        unmarked_is_empty: count an image that is listed without marks as one without a target.
        unnamed: category of marks that name none; None leaves it unstated.
        target: what the marks show (`AnnotationTask.target`), for images with several targets; None goes by the labels.
        instances: keep every mark as a separate target of its image.
        new_targets: make a task of every category found on an image.
        layer: layer of a vector file; None if it has only one.
        label_field: field of a vector file, or attribute in CVAT and VIA, that holds the category; None takes CVAT's
            label, or looks for one of the usual names.
    """

    category: str | None = None
    repair: bool = False
    unmarked_is_empty: bool = False
    unnamed: str | None = None
    target: str | None = None
    instances: bool = False
    new_targets: bool = False
    layer: str | None = None
    label_field: str | None = None


AS_STATED = ReadOptions()


@dataclass(frozen=True)
class Patch:
    """A part of a mask, in which all of its foreground is.

    Attributes:
        mask: (height, width) bool.
        top: row of the image where it begins.
        left: column of the image where it begins.
    """

    mask: np.ndarray
    top: int = 0
    left: int = 0

    def drawn(self, height: int, width: int) -> Patch:
        """Return itself: the `Draw` of a mark whose file holds pixels already."""
        return self


Draw = Callable[[int, int], Patch]
"""Rasterise a mark on an image of a height and a width in pixels."""


@dataclass(frozen=True)
class Mark:
    """A shape that someone drew on an image.

    Attributes:
        label: name of what it shows, None if the file does not say.
        draw: rasterises it; raises DataFormatError with its place. Called only for marks that are wanted.
        place: file, image, and number of the mark, for messages.
        group: marks of the same group are parts of one instance; None is an instance of its own.
        code: number or colour that stands for a category of unknown name; `--category` chooses by it.
    """

    label: str | None
    draw: Draw
    place: str
    group: object = None
    code: str | None = None


@dataclass(frozen=True)
class AnnotatedImage:
    """What a file says about an image.

    Attributes:
        names: names of the image, the most reliable first: path or file name as stated, then other records of it.
        marks: shapes with an area.
        place: file and image, for messages.
        size: height and width as the file states them, checked once the image is needed; None if it states none.
        says_empty: whether a person stated that the image has no target.
        said: category chosen for all marks of the image together, None if each mark has its own.
        task: ID of the task as recorded by our own exports and by masks named after it, None if unknown.
        target: target that all marks are of, as the name of the file says; None if it does not.
        image: ID of the image if the reader found it by place rather than by name.
        skipped: number of things without an area, by kind, such as `polyline`.
        facts: annotator, created, seconds, tool and key of the drawing, as far as the file states them.
    """

    names: tuple[str, ...]
    marks: tuple[Mark, ...]
    place: str
    size: tuple[object, object] | None = None
    says_empty: bool = False
    said: str | None = None
    task: str | None = None
    target: str | None = None
    image: str | None = None
    skipped: Counter[str] = field(default_factory=Counter)
    facts: Mapping[str, Any] = field(default_factory=dict)


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


def stem(name: str) -> str:
    """Return the name of a file without folders and suffix."""
    return Path(name.replace("\\", "/")).stem
