"""Types that pass between the stages of question generation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field

QUESTIONS, ANSWERS = 6, 3
"""Questions and answers kept per image, as in the paper."""


class Reply(BaseModel, extra="forbid"):
    """Base of the models' answers; unknown keys are refused.

    Models receive the docstrings of subclasses in the JSON schema. Changing one changes the keys of the ledger, so that
    finished runs would be paid for again.
    """


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
    """Facts about a sample besides its pixels.

    Attributes:
        category: class of the target.
        ground_resolution: GSD, metres per pixel.
        place: name of the place shown.
        absent: whether the questions are to be about something absent.
    """

    category: str | None = None
    ground_resolution: float | None = None
    place: str | None = None
    absent: bool = False

    def describe(self) -> str:
        """Put the hints into words for a prompt."""
        parts = [
            f"category: {self.category}" if self.category else "",
            f"ground resolution: {self.ground_resolution:g} m per pixel" if self.ground_resolution else "",
            f"place: {self.place}" if self.place else "",
        ]
        return "; ".join(filter(None, parts)) or "none"


@dataclass(frozen=True)
class Usage:
    """Tokens and cost of one or more calls; `usd` is in US dollars."""

    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        tokens = self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens
        return Usage(*tokens, self.usd + other.usd)


@dataclass(frozen=True)
class Generated:
    """The outcome for one sample.

    Attributes:
        status: `done`, or `quarantined` with a reason.
        questions, answers: selected texts; no answers if the target is empty.
        concept: absent concept that the questions are about; None if there is a target.
        reason: why the sample is quarantined.
        provenance: model, prompt, parameters, server, time, cost and ledger key of every call, by stage.
        origins: where each question comes from, see `provenance.origin_of`; empty in runs before 2026-11-28.
        pixels: digests of image and mask, see `trail.digest_pixels`; empty in runs before 2026-11-28.
    """

    sample_id: str
    status: str
    questions: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    concept: str | None = None
    reason: str = ""
    provenance: list[dict[str, Any]] = field(default_factory=list)
    origins: list[dict[str, Any]] = field(default_factory=list)
    pixels: str = ""
