"""The mask that a person or a model drew for a task; every annotation format is read into this type."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError
from earthreason.masks.rle import decode_rle, encode_mask, rle_area
from earthreason.types import RLE


@dataclass(frozen=True)
class Drawing:
    """A mask drawn for a task.

    Attributes:
        task: task ID.
        segmentation: mask at the image's own size, without foreground if the image has no target.
        category: category of the target, None if not stated.
        annotator: name of the annotator, empty if unknown.
        created: time of saving, ISO 8601, empty if unknown.
        seconds: drawing time in seconds, None if unknown.
        tool: program with which the mask was drawn, and its version.
        version: version number, increased when the same person saves a change.
        key: ID of the drawing in its tool, so that a second import replaces it.
        targets: masks of separate targets, whose union is `segmentation`; None if they are not kept apart.
        withdrawn: whether this version takes the drawing back.
    """

    task: str
    segmentation: RLE
    category: str | None = None
    annotator: str = ""
    created: str = ""
    seconds: float | None = None
    tool: str = ""
    version: int = 1
    key: str = ""
    targets: list[RLE] | None = None
    withdrawn: bool = False

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Drawing:
        """Read a stored row; earlier versions stored the task as `image`.

        Raises:
            TypeError: the row has other columns.
        """
        columns = dict(row)
        if "image" in columns:
            columns["task"] = columns.pop("image")
        return cls(**columns)

    @property
    def says(self) -> tuple[object, ...]:
        """What the drawing states, without who said it and when."""
        return self.segmentation, self.category, self.targets, self.withdrawn

    @property
    def height(self) -> int:
        return self.segmentation["size"][0]

    @property
    def width(self) -> int:
        return self.segmentation["size"][1]

    @property
    def is_empty(self) -> bool:
        """Whether the annotator stated that there is no target."""
        return rle_area(self.segmentation) == 0

    @property
    def separate(self) -> list[RLE]:
        """Masks of the separate targets: `targets`, or else the whole mask as one, or none if it is empty."""
        return self.targets if self.targets is not None else [] if self.is_empty else [self.segmentation]

    @property
    def mask(self) -> np.ndarray:
        """(height, width) bool."""
        return decode_rle(self.segmentation)

    @property
    def saved(self) -> datetime:
        """Time of saving, in UTC if no zone is stated; the earliest possible time if unknown."""
        try:
            moment = datetime.fromisoformat(self.created)
        except ValueError:
            return datetime.min.replace(tzinfo=UTC)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify masks, category, annotator and version."""
        said = self.annotator, self.key, self.version, self.category, self.height, self.width
        masks: tuple[object, ...] = (self.segmentation["counts"],)
        if self.targets is not None:
            masks += ([target["counts"] for target in self.targets],)
        return hashlib.sha256(repr((said, *masks)).encode()).hexdigest()[:16]


def draw(task: str, mask: np.ndarray, category: str | None = None, **facts: object) -> Drawing:
    """Create a drawing from a (height, width) bool mask; `facts` are the other attributes of `Drawing`."""
    return Drawing(task, encode_mask(mask), category if mask.any() else None, **facts)  # type: ignore[arg-type]


def unite(task: str, masks: list[tuple[str | None, np.ndarray]], size: tuple[int, int], place: str) -> Drawing:
    """Merge shapes into one drawing; their labels must agree, because a sample has one target.

    Args:
        task: task ID.
        masks: label and (height, width) bool mask of every shape; an empty list means "no target".
        size: height and width of the image, pixels.
        place: location for error messages.

    Raises:
        DataFormatError: the shapes have different labels.
    """
    labels = sorted({label for label, mask in masks if label is not None and mask.any()})
    if len(labels) > 1:
        raise DataFormatError(
            f"{place}: shapes of several categories ({', '.join(labels)}), but a sample has one target; choose one "
            "with --category"
        )
    merged = np.zeros(size, bool)
    for _, mask in masks:
        merged |= mask
    return draw(task, merged, labels[0] if labels else None)
