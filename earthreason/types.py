"""The types everything in the suite speaks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypedDict, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from PIL import Image


OPTIONAL_FACTS = ("category", "ground_resolution", "source", "reasoning_type")
"""Facts of a sample that are None where its source does not state them."""


@dataclass(frozen=True)
class Sample:
    """One image, the mask of its target and the questions that mean it.

    Attributes:
        sample_id: stable, unique over all splits.
        image: RGB.
        mask: (height, width) bool; all False for an empty target.
        questions: implicit questions, all about the same target.
        answers: explanatory answers; empty for an empty target.
        category: the target's class, None where the source does not say.
        ground_resolution: metres per pixel, None where unknown.
        source: where the image comes from, None where unknown.
        reasoning_type: what kind of thought the questions ask for, None where unknown.
    """

    sample_id: str
    image: Image.Image
    mask: np.ndarray
    questions: list[str]
    answers: list[str] = field(default_factory=list)
    category: str | None = None
    ground_resolution: float | None = None
    source: str | None = None
    reasoning_type: str | None = None

    @property
    def height(self) -> int:
        return int(self.mask.shape[0])

    @property
    def width(self) -> int:
        return int(self.mask.shape[1])

    @property
    def is_empty(self) -> bool:
        return not self.mask.any()


class RLE(TypedDict):
    """COCO compressed run-length encoding: `size` is [height, width], `counts` the string of column-major runs."""

    size: list[int]
    counts: str


@dataclass(frozen=True)
class Prediction:
    """What a model says to one question about one sample; `segmentation` None means "no target"."""

    sample_id: str
    segmentation: RLE | None
    question_index: int = 0
    score: float | None = None
    answer: str | None = None


@runtime_checkable
class Predictor(Protocol):
    """Anything that makes masks."""

    def predict(self, images: list[Image.Image], questions: list[str]) -> list[np.ndarray | None]:
        """Answer `questions[i]` on `images[i]`: a (height, width) bool mask of the image's size, or None: no target."""
        ...
