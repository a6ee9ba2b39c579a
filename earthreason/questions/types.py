"""What passes between the stages of question generation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

QUESTIONS, ANSWERS = 6, 3
"""Kept per image, as in the paper."""


class Reply(BaseModel):
    """Base of what models answer: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class Proposal(Reply):
    """First questions and answers about a target."""

    questions: list[str] = Field(min_length=1, max_length=20)
    answers: list[str] = Field(min_length=1, max_length=10)


class Absence(Reply):
    """Something plausible that an image does not hold, and questions about it."""

    concept: str = Field(min_length=1)
    questions: list[str] = Field(min_length=1, max_length=20)


class Rewriting(Reply):
    """Other wordings of questions."""

    questions: list[str] = Field(min_length=1, max_length=30)


class Verdict(Reply):
    """A judge's view of one question."""

    number: int = Field(ge=1)
    answerable: bool
    implicit: bool
    unique: bool
    mask_fits: bool
    reason: str = ""

    @property
    def passed(self) -> bool:
        return self.answerable and self.implicit and self.unique and self.mask_fits


class JudgeReply(Reply):
    """Verdicts on all candidate questions of an image."""

    verdicts: list[Verdict]


@dataclass(frozen=True)
class Hints:
    """What is known of a sample besides its pixels."""

    category: str | None = None
    ground_resolution: float | None = None
    place: str | None = None
    absent: bool = False

    def describe(self) -> str:
        """The hints in words, for a prompt."""
        parts = [
            f"category: {self.category}" if self.category else "",
            f"ground resolution: {self.ground_resolution:g} m per pixel" if self.ground_resolution else "",
            f"place: {self.place}" if self.place else "",
        ]
        return "; ".join(filter(None, parts)) or "none"


@dataclass(frozen=True)
class Usage:
    """Tokens and money of one call."""

    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0


@dataclass(frozen=True)
class Generated:
    """The outcome for one sample.

    Attributes:
        status: `done`, or `quarantined` with a reason.
        questions, answers: selected; no answers where nothing is there.
        concept: of an empty target.
        provenance: stage, model, prompt version, date and ledger key of every call behind it.
    """

    sample_id: str
    status: str
    questions: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    concept: str | None = None
    reason: str = ""
    provenance: list[dict[str, Any]] = field(default_factory=list)
