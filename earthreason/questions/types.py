"""Types that pass between the stages of question generation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, field_validator

QUESTIONS, ANSWERS = 6, 3
"""Questions and answers kept per image, as in the paper."""
ReasoningType = Literal["function", "condition", "superlative", "spatial relation", "multi-instance"]
"""Kinds of reasoning, by the names that the synthetic scenes have."""
REASONING_TYPES: tuple[str, ...] = get_args(ReasoningType)
Difficulty = Literal["easy", "medium", "hard"]
DIFFICULTIES: tuple[str, ...] = get_args(Difficulty)
LONGEST_NAME = 80
"""Characters of the name of a target or concept."""
_NAMELESS = re.compile(
    r"(?:(?:all|an?|answer|area|feature|here|highlighted|image|in|marked|mask|object|of|orange|outlined?|part|picture"
    r"|place|polygon|region|shape|shown|site|some|something|spot|structure|target|that|the|these|thing|this|tint|tinted"
    r"|zone)s?\b\W*)*"
)
"""Words that alone do not say what a target is."""


class Reply(BaseModel, extra="forbid"):
    """Base of the models' answers; unknown keys are refused.

    Models receive the docstrings of subclasses in the JSON schema. Changing one changes the keys of the ledger, so that
    finished runs would be paid for again.
    """

    def fault(self, given: Mapping[str, Any]) -> str:
        """Return what rule of the prompt the answer breaks that its schema cannot state; empty if it breaks none.

        Args:
            given: what the prompt gave that the rule is about (`Request.given`).
        """
        return ""


class AskedQuestion(Reply):
    """A question, the kind of reasoning that it needs, and how hard it is to answer from the image."""

    text: str
    reasoning_type: ReasoningType
    difficulty: Difficulty


class Proposal(Reply):
    """First questions and answers about a target, and its name."""

    target: str = Field(min_length=1, max_length=LONGEST_NAME)
    questions: list[AskedQuestion] = Field(min_length=1, max_length=20)
    answers: list[str] = Field(min_length=1, max_length=10)

    @field_validator("target")
    @classmethod
    def _in_one_line(cls, target: str) -> str:
        return " ".join(target.split())

    def fault(self, given: Mapping[str, Any]) -> str:
        """Refuse a name that names nothing, such as `the tinted area`."""
        named = not _NAMELESS.fullmatch(same_name(self.target))
        return "" if named else f"target {self.target!r} does not say what the thing is"


class Absence(Reply):
    """What an image holds, and questions about a listed concept that it certainly does not hold."""

    seen: str
    present: list[str]
    concept: str | None = Field(max_length=LONGEST_NAME)
    questions: list[AskedQuestion] = Field(max_length=20)

    def fault(self, given: Mapping[str, Any]) -> str:
        """Refuse a concept that is not on the list of `given`, or that the answer itself calls present or doubtful."""
        if self.concept is None:
            return ""
        chosen, listed = same_name(self.concept), [same_name(name) for name in given.get("concepts", ())]
        if chosen not in listed:
            return f"concept {self.concept!r} is not on the list"
        if chosen in map(same_name, self.present):
            return f"concept {self.concept!r} is chosen as absent and listed as present or doubtful"
        return "" if self.questions else f"there are no questions about {self.concept!r}"


class Rewording(Reply):
    """Another wording of the question with this number."""

    number: int = Field(ge=1)
    text: str


class Rewriting(Reply):
    """Other wordings of questions."""

    questions: list[Rewording] = Field(min_length=1, max_length=30)


class Verdict(Reply):
    """A judge's view of one question."""

    number: int = Field(ge=1)
    reason: str = ""
    answerable: bool
    implicit: bool
    unique: bool
    mask_fits: bool

    @property
    def passed(self) -> bool:
        return self.answerable and self.implicit and self.unique and self.mask_fits


class AnswerVerdict(Reply):
    """A judge's view of one answer."""

    number: int = Field(ge=1)
    reason: str = ""
    true_of_region: bool
    names_target: bool
    says_why: bool

    @property
    def passed(self) -> bool:
        return self.true_of_region and self.names_target and self.says_why


class JudgeReply(Reply):
    """What the marked region is, whether its name fits, and verdicts on all questions and answers."""

    region: str
    target_fits: bool
    verdicts: list[Verdict]
    answers: list[AnswerVerdict]


class AbsenceVerdict(Reply):
    """A judge's view of one question about something absent."""

    number: int = Field(ge=1)
    reason: str = ""
    nothing_fits: bool
    implicit: bool
    plausible: bool

    @property
    def passed(self) -> bool:
        return self.nothing_fits and self.implicit and self.plausible


class AbsenceReview(Reply):
    """What could count as the concept, whether the image is without it, and verdicts on all questions."""

    candidates: list[str]
    absent: bool
    verdicts: list[AbsenceVerdict]


REPLIES: Mapping[str, type[Reply]] = {
    reply.__name__: reply for reply in (Proposal, Absence, Rewriting, JudgeReply, AbsenceReview)
}
"""Types of the answers of all stages, by name."""


def same_name(text: str) -> str:
    """Return a name as it is compared: lower case, single spaces, no surrounding marks."""
    return " ".join(re.findall(r"\w+", text.lower()))


@dataclass(frozen=True)
class Hints:
    """Facts about a sample besides its pixels.

    Attributes:
        category: class of the target.
        ground_resolution: GSD, metres per pixel.
        place: name of the place shown.
        absent: whether the questions are to be about something absent.
        concepts: what may be absent, in the order in which it is to be tried.
        regions: number of separate regions of the target; 0 if it is absent.
    """

    category: str | None = None
    ground_resolution: float | None = None
    place: str | None = None
    absent: bool = False
    concepts: tuple[str, ...] = ()
    regions: int = 0

    def describe(self) -> str:
        """Put the hints into words for a prompt."""
        parts = [
            f"category: {self.category}" if self.category else "",
            f"ground resolution: {self.ground_resolution:g} m per pixel" if self.ground_resolution else "",
            f"place: {self.place}" if self.place else "",
            f"the target has {self.regions} separate regions" if self.regions > 1 else "",
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
        target: name of the target as the proposal gives it; empty if it is absent, and in runs before version 2 of the
            prompts.
        reason: why the sample is quarantined.
        provenance: model, prompt, parameters, server, time, cost and ledger key of every call, by stage.
        origins: where each question comes from, see `provenance.origin_of`; empty in runs before 2026-11-28.
        answer_origins: where each answer comes from.
        pixels: digests of image and mask, see `trail.digest_pixels`; empty in runs before 2026-11-28.
    """

    sample_id: str
    status: str
    questions: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    concept: str | None = None
    target: str = ""
    reason: str = ""
    provenance: list[dict[str, Any]] = field(default_factory=list)
    origins: list[dict[str, Any]] = field(default_factory=list)
    answer_origins: list[dict[str, Any]] = field(default_factory=list)
    pixels: str = ""
