"""Requests of each stage; sending and storing them is done elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from earthreason.questions.prompting.concepts import SEPARATOR
from earthreason.questions.prompting.languages import ENGLISH, Language
from earthreason.questions.prompting.pictures import TargetView, describe_pictures
from earthreason.questions.prompting.prompts import PromptTemplate
from earthreason.questions.servers.request import Request
from earthreason.questions.types import (
    QUESTIONS,
    Absence,
    AbsenceReview,
    Hints,
    JudgeReply,
    Proposal,
    Reply,
    Rewriting,
)

NOTHING = TargetView()
"""View of a sample of whose target nothing is shown."""


@dataclass(frozen=True)
class StageConfig:
    """Models and prompts of the stages.

    Attributes:
        propose, rewrite, judge: model names; no judge means that the stage is skipped.
        prompts: templates by name.
        images: whether pictures are sent; text-only models get the hints alone.
        candidates: number of questions proposed per image.
        answers: number of answers proposed per image.
        votes: number of times that the judge is asked.
        language: language of the questions and answers.
        parameters: sampling parameters of every request.
    """

    propose: str
    rewrite: str
    judge: str | None
    prompts: dict[str, PromptTemplate]
    images: bool = True
    candidates: int = 10
    answers: int = 5
    votes: int = 1
    language: Language = ENGLISH
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def models(self) -> dict[str, str | None]:
        """Model of every stage that asks one; None if the stage is skipped."""
        return {"propose": self.propose, "rewrite": self.rewrite, "judge": self.judge}


def propose_request(hints: Hints, config: StageConfig, view: TargetView = NOTHING) -> Request[Proposal | Absence]:
    """Request questions about the target, or about something absent."""
    counts = {"count": config.candidates, "answers": config.answers}
    if hints.absent:
        values = {**counts, "concepts": f"{SEPARATOR} ".join(hints.concepts)}
        return _request("absent", Absence, hints, config, view, values, {"concepts": list(hints.concepts)})
    return _request("propose", Proposal, hints, config, view, counts)


def rewrite_request(questions: Sequence[str], target: str, config: StageConfig) -> Request[Rewriting]:
    """Request rewordings of the questions about a target or absent concept; no pictures are sent."""
    values = {"questions": numbered(questions), "count": len(questions), "target": target}
    filled = config.prompts["rewrite"].fill(language=config.language.name, **values)
    return Request(
        filled.user,
        (),
        Rewriting,
        config.rewrite,
        config.parameters,
        system=filled.system,
        examples=filled.examples,
    )


def judge_request(
    questions: Sequence[str],
    answers: Sequence[str],
    target: str,
    hints: Hints,
    config: StageConfig,
    view: TargetView = NOTHING,
    vote: int = 0,
) -> Request[JudgeReply | AbsenceReview]:
    """Request verdicts on all candidates.

    Args:
        questions: candidates.
        answers: candidates; there are none about something absent.
        target: name of the target, or absent concept.
        hints: facts about the sample.
        config: models and prompts.
        view: how the target is shown.
        vote: number of earlier requests that are the same.
    """
    name, reply = ("judge_absent", AbsenceReview) if hints.absent else ("judge", JudgeReply)
    values = {"questions": numbered(questions), "answers": numbered(answers), "target": target, "concept": target}
    return _request(name, reply, hints, config, view, values, vote=vote)


def prompt_of(stage: str, hints: Hints, config: StageConfig) -> PromptTemplate:
    """Return the template of a stage."""
    absent = {"propose": "absent", "judge": "judge_absent"}
    return config.prompts[absent.get(stage, stage) if hints.absent else stage]


def numbered(texts: Sequence[str]) -> str:
    """Format texts as a numbered list, one per line."""
    return "\n".join(f"{number}. {' '.join(text.split())}" for number, text in enumerate(texts, start=1))


def _request(
    name: str,
    reply: type[Reply],
    hints: Hints,
    config: StageConfig,
    view: TargetView,
    values: dict[str, Any],
    given: dict[str, Any] | None = None,
    vote: int = 0,
) -> Request[Any]:
    """Fill a prompt that is about an image."""
    pictures = () if not config.images else ("image",) if hints.absent else view.kinds
    shown = describe_pictures(pictures, view)
    filled = config.prompts[name].fill(hints=hints.describe(), language=config.language.name, pictures=shown, **values)
    model = config.judge if name.startswith("judge") else config.propose
    assert model is not None
    return Request(
        filled.user,
        pictures,
        reply,
        model,
        config.parameters,
        system=filled.system,
        examples=filled.examples,
        given=given or {},
        vote=vote,
    )


def select_diverse(texts: Sequence[str], count: int = QUESTIONS) -> list[str]:
    """Select `count` dissimilar texts: the first, then each time the one least similar to those selected."""
    from rapidfuzz.fuzz import token_set_ratio

    remaining = list(dict.fromkeys(texts))
    chosen, remaining = remaining[:1], remaining[1:]
    while remaining and len(chosen) < count:
        farthest = min(remaining, key=lambda text: max(token_set_ratio(text, other) for other in chosen))
        chosen.append(farthest)
        remaining.remove(farthest)
    return chosen
