"""What reviewers say, and how a review is set up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from earthreason.questions.settlement import VERDICTS

REASONS = {
    "leak": "names or gives away the category",
    "ambiguous": "could mean something else, too",
    "wrong-mask": "the mask is not what the question means",
    "not-answerable": "the image does not tell",
    "wrong-empty": "marked as nothing there, but it is (or the reverse)",
    "wrong-answer": "the answer is false",
    "duplicate": "asks what another question asks",
    "language": "not good English",
}
"""Reason codes of a verdict, and what they mean."""
NEEDS_REASON = ("reject", "unsure")
LONGEST_TEXT = 2000


class ReviewJudgement(BaseModel):
    """One verdict as the page sends it.

    Attributes:
        review: id of the review that the page shows.
        reviewer: who.
        item: number of the question that the page shows.
        place: position in the reviewer's own queue.
        verdict: accept, edit, reject or unsure.
        reasons: codes of `REASONS`; at least one where the verdict is reject or unsure.
        text: the new question of an edit.
        note: in the reviewer's words.
        seconds: the item was looked at, without idle time.
        revision: of the verdict that the page showed, 0 for none; a newer one in the store is not overwritten.
        key: made by the page, so that sending again does not count again.
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
    """An image with its mask as the store keeps it; `picture` and `mask` are files."""

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
    """Who judges how much.

    Attributes:
        overlap: share of the images that `per_image` people judge, each without seeing the others; the rest one does.
        per_image: people for each of those.
        second_pass: share of the images that everyone judges once more, later, without seeing what they said.
        seed: of the choice.
    """

    overlap: float = 0.1
    per_image: int = 2
    second_pass: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class ReviewItem:
    """One question at a place of a reviewer's queue.

    Attributes:
        place: from 0.
        sample: number of the image.
        item: number of the question in the store.
        round: 1, or 2 for the second look.
        number: of the question about its image.
        question: the text.
        facts: of the image.
        verdict: the reviewer's own current one, None if there is none.
        rest: questions about this image that the reviewer has not judged in this round.
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
