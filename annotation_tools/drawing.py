"""What a person (or a model) drew on one image: the type that all annotation formats are read into."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from earthreason.errors import DataFormatError
from earthreason.masks.rle import decode_rle, encode_mask, rle_area
from earthreason.types import RLE


@dataclass(frozen=True)
class Drawing:
    """One mask on one image.

    Attributes:
        image: id of the task, which is the stem of the picture's file.
        segmentation: at the image's own size; without foreground where nothing answers.
        category: what it shows, None where nobody said.
        annotator: who drew it; empty where unknown.
        created: when it was saved, ISO 8601; empty where unknown.
        seconds: how long it took, None where unknown.
        tool: program and version it was drawn with.
        version: goes up each time the same person saves it again with changes.
        key: names the drawing in its tool, so that a second import replaces and does not double it.
    """

    image: str
    segmentation: RLE
    category: str | None = None
    annotator: str = ""
    created: str = ""
    seconds: float | None = None
    tool: str = ""
    version: int = 1
    key: str = ""

    @property
    def height(self) -> int:
        return self.segmentation["size"][0]

    @property
    def width(self) -> int:
        return self.segmentation["size"][1]

    @property
    def is_empty(self) -> bool:
        """Nothing was marked: an explicit "no target"."""
        return rle_area(self.segmentation) == 0

    @property
    def mask(self) -> np.ndarray:
        """(height, width) bool."""
        return decode_rle(self.segmentation)

    @property
    def saved(self) -> datetime:
        """When, in UTC where no zone is stated; the first of all times where unknown."""
        try:
            moment = datetime.fromisoformat(self.created)
        except ValueError:
            return datetime.min.replace(tzinfo=UTC)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    @property
    def fingerprint(self) -> str:
        """16 digits that change with what was drawn, and by whom."""
        said = self.annotator, self.key, self.version, self.category, self.height, self.width
        return hashlib.sha256(repr((said, self.segmentation["counts"])).encode()).hexdigest()[:16]


def draw(image: str, mask: np.ndarray, category: str | None = None, **facts: object) -> Drawing:
    """A drawing of a (height, width) mask; `facts` are the other attributes of `Drawing`."""
    return Drawing(image, encode_mask(mask), category if mask.any() else None, **facts)  # type: ignore[arg-type]


def unite(image: str, masks: list[tuple[str | None, np.ndarray]], size: tuple[int, int], place: str) -> Drawing:
    """One drawing of several shapes; their labels must agree, for a sample has one target.

    Args:
        image: id of the task.
        masks: label and (height, width) bool mask of every shape; none at all is "no target".
        size: height and width of the image, pixels.
        place: where the shapes stand, for the error.

    Raises:
        DataFormatError: the shapes have different labels.
    """
    labels = sorted({label for label, mask in masks if label is not None and mask.any()})
    if len(labels) > 1:
        raise DataFormatError(
            f"{place}: shapes of several categories ({', '.join(labels)}), but a sample has one target; name the one "
            "that is meant with --category"
        )
    merged = np.zeros(size, bool)
    for _, mask in masks:
        merged |= mask
    return draw(image, merged, labels[0] if labels else None)
