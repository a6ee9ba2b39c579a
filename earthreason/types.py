"""Types shared by all packages of the suite."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from PIL import Image


def _fact(meaning: str, *, numeric: bool = False) -> Any:
    return field(default=None, metadata={"meaning": meaning, "numeric": numeric})


@dataclass(frozen=True, kw_only=True)
class OptionalFacts:
    """Facts of a sample that are None where its source does not state them."""

    category: str | None = _fact("class of the target")
    ground_resolution: float | None = _fact("ground sampling distance (GSD) in metres per pixel", numeric=True)
    source: str | None = _fact("origin of the image")
    reasoning_type: str | None = _fact("kind of reasoning that the questions need")
    unseen: str | None = _fact(
        "what the training data lacks of the questions: nothing, wording, category, or wording and category"
    )

    def optional_facts(self) -> dict[str, Any]:
        """Return the optional facts by name."""
        return {fact: getattr(self, fact) for fact in OPTIONAL_FACTS}


OPTIONAL_FACTS = {fact.name: fact.metadata["meaning"] for fact in fields(OptionalFacts)}
"""Meaning of every optional fact, by name."""
NUMERIC_FACTS = tuple(fact.name for fact in fields(OptionalFacts) if fact.metadata["numeric"])
"""Names of the optional facts that are numbers; the others are text."""


@dataclass(frozen=True)
class Sample(OptionalFacts):
    """An image, the mask of its target, and the questions about the target.

    Attributes:
        sample_id: stable id, unique over all splits.
        image: RGB picture.
        mask: (height, width) bool; all False for an empty target.
        questions: implicit questions, all about the same target.
        answers: explanatory answers; empty for an empty target.
        ignore: pixels that count neither as target nor as background, (height, width) bool; None if there are none.
        targets: masks of the separate targets in the order of the answer, (height, width) bool each, whose union is
            `mask`; empty if the questions have one mask.
    """

    sample_id: str
    image: Image.Image
    mask: np.ndarray
    questions: list[str]
    answers: list[str] = field(default_factory=list)
    ignore: np.ndarray | None = None
    targets: list[np.ndarray] = field(default_factory=list)

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
    """COCO compressed RLE: `size` is [height, width] in pixels, `counts` the string of column-major runs."""

    size: list[int]
    counts: str


@dataclass(frozen=True)
class Prediction:
    """Prediction of a model for one question about one sample.

    Attributes:
        sample_id: id of the sample.
        segmentation: mask; the union of `targets` if there are several; None for "no target".
        question_index: index of the question, from 0.
        score: confidence.
        answer: text that the model wrote.
        targets: masks of the separate targets, in the order of the answer; empty if the model predicts one mask.
        failure: reason why the model gave no readable answer, which scores as wrong; None for an answer.
    """

    sample_id: str
    segmentation: RLE | None
    question_index: int = 0
    score: float | None = None
    answer: str | None = None
    targets: tuple[RLE, ...] = ()
    failure: str | None = None


@dataclass(frozen=True)
class Answer:
    """What a model gave for one question, where it may fail to give an answer.

    Attributes:
        mask: (height, width) bool; None for "no target", and where it failed.
        failure: reason why there is no readable answer; None for an answer.
        transcript: what was asked and written, as JSON values, to keep beside the predictions.
        text: text that the model wrote, for the predictions themselves; None if it wrote none.
    """

    mask: np.ndarray | None
    failure: str | None = None
    transcript: dict[str, Any] = field(default_factory=dict)
    text: str | None = None


@runtime_checkable
class Predictor(Protocol):
    """Interface of every model that predicts masks."""

    def predict(self, images: list[Image.Image], questions: list[str]) -> list[np.ndarray | None]:
        """Return for each `questions[i]` on `images[i]` a (height, width) bool mask, or None for "no target"."""
        ...


@runtime_checkable
class FalliblePredictor(Predictor, Protocol):
    """Predictor that tells "no target" from a failure to answer, or also gives the text that it wrote."""

    def attempt(self, images: list[Image.Image], questions: list[str]) -> list[Answer]:
        """Return the answer or failure for each `questions[i]` on `images[i]`."""
        ...
