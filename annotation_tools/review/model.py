"""The values of a review: verdicts, samples, plan and items."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from earthreason.questions.settlement import VERDICTS

REASONS = {
    "leak": "names or reveals the category",
    "ambiguous": "could also mean something else",
    "wrong-mask": "the mask is not what the question asks for",
    "not-answerable": "cannot be answered from the image",
    "wrong-empty": "marked as having no target, but it has one (or the reverse)",
    "wrong-answer": "the answer is false",
    "duplicate": "repeats another question",
    "language": "not good English",
}
"""Reason codes of verdicts and their meanings."""
NEEDS_REASON = ("reject", "unsure")
LONGEST_TEXT = 2000


class ReviewJudgement(BaseModel):
    """A verdict sent by the page.

    Attributes:
        review: ID of the review on the page.
        reviewer: name of the reviewer.
        item: number of the question on the page.
        place: position in the reviewer's queue, from 0.
        verdict: accept, edit, reject or unsure.
        reasons: codes of `REASONS`; reject and unsure need at least one.
        text: new question; edit needs one.
        note: free text.
        seconds: viewing time in seconds, without idle time.
        revision: event of the verdict on the page, 0 for none; a newer verdict in the store is not overwritten.
        key: key chosen by the page, so that a repeated request counts once.
    """

    model_config = ConfigDict(extra="forbid")
    review: str = Field(min_length=1, max_length=64)
    reviewer: str = Field(min_length=1, max_length=60)
    item: int = Field(ge=1)
    place: int = Field(ge=0)
    verdict: str
    reasons: list[str] = []
    text: str = Field(default="", max_length=LONGEST_TEXT)
    note: str = Field(default="", max_length=LONGEST_TEXT)
    seconds: float = Field(default=0, ge=0, le=86_400)
    revision: int = Field(ge=0)
    key: str = Field(min_length=8, max_length=64)

    @model_validator(mode="after")
    def _whole(self) -> ReviewJudgement:
        if self.verdict not in VERDICTS:
            raise ValueError(f"verdict {self.verdict!r}; known: {', '.join(VERDICTS)}")
        unknown = [reason for reason in self.reasons if reason not in REASONS]
        if unknown:
            raise ValueError(f"reason {unknown[0]!r}; known: {', '.join(REASONS)}")
        if self.verdict in NEEDS_REASON and not self.reasons:
            raise ValueError(f"{self.verdict} needs a reason")
        if self.verdict == "edit" and not self.text.strip():
            raise ValueError("edit needs the new text")
        return self


@dataclass(frozen=True)
class ReviewSample:
    """A sample of a review; `picture` and `mask` are files, relative to its folder."""

    sample_id: str
    split: str
    picture: str
    mask: str
    height: int
    width: int
    is_empty: bool
    questions: list[str]
    answers: list[str] = field(default_factory=list)
    category: str | None = None
    ground_resolution: float | None = None


@dataclass(frozen=True)
class Plan:
    """The distribution of images to reviewers.

    Attributes:
        overlap: share of the images that several people judge independently; one person judges each of the others.
        per_image: number of people for each of these images.
        second_pass: share of their images that reviewers judge a second time, without seeing their first verdicts.
        seed: seed for choosing the images.
    """

    overlap: float = 0.1
    per_image: int = 2
    second_pass: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class ReviewItem:
    """A question in a reviewer's queue.

    Attributes:
        place: position in the queue, from 0.
        sample: number of the image.
        item: number of the question in the store.
        round: 1, or 2 for a second look.
        number: position among the questions about the image, from 0.
        question: text of the question.
        facts: facts of the image.
        verdict: the reviewer's current verdict, None if there is none.
        rest: number of questions about the image without a verdict of the reviewer in this round.
        draft: text of an unfinished edit.
    """

    place: int
    sample: int
    item: int
    round: int
    number: int
    question: str
    facts: dict[str, Any]
    verdict: dict[str, Any] | None
    rest: int
    draft: str
