"""Requests and answer types of each stage; sending and storing them is done elsewhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from earthreason.data.pictures import mask_of
from earthreason.data.schema import Record
from earthreason.overlay import PREDICTION_COLOUR, draw_overlay
from earthreason.questions.client import Request
from earthreason.questions.prompts import PromptTemplate
from earthreason.questions.types import QUESTIONS, Absence, Hints, JudgeReply, Proposal, Rewriting

SIDE = 1024
"""Longest side of a picture that is sent, pixels."""
_TWICE = " twice: as it is, and with the target tinted orange"


@dataclass(frozen=True)
class StageConfig:
    """Models and prompts of the stages.

    Attributes:
        propose, rewrite, judge: model names; no judge means that the stage is skipped.
        prompts: templates by name.
        images: whether pictures are sent; text-only models get the hints alone.
        candidates: number of questions proposed per image.
        parameters: sampling parameters of every request.
    """

    propose: str
    rewrite: str
    judge: str | None
    prompts: dict[str, PromptTemplate]
    images: bool = True
    candidates: int = 10
    parameters: dict[str, Any] = field(default_factory=dict)


def propose_request(hints: Hints, config: StageConfig) -> Request[Proposal | Absence]:
    """Request questions about the target, or about something absent."""
    values: dict[str, object] = {"hints": hints.describe(), "count": config.candidates, "answers": 4}
    if hints.absent:
        text = config.prompts["absent"].fill(**values)
        return Request(text, ("image",) if config.images else (), Absence, config.propose, config.parameters)
    note = _TWICE if config.images else " (not shown here)"
    text = config.prompts["propose"].fill(overlay_note=note, **values)
    pictures = ("image", "overlay") if config.images else ()
    return Request(text, pictures, Proposal, config.propose, config.parameters)


def rewrite_request(questions: Sequence[str], forbidden: str | None, config: StageConfig) -> Request[Rewriting]:
    """Request rewordings of the questions; no pictures are sent."""
    text = config.prompts["rewrite"].fill(
        questions=numbered(questions), count=len(questions), forbidden=f" ({forbidden})" if forbidden else ""
    )
    return Request(text, (), Rewriting, config.rewrite, config.parameters)


def judge_request(
    questions: Sequence[str], hints: Hints, concept: str | None, config: StageConfig
) -> Request[JudgeReply]:
    """Request verdicts on all candidates."""
    assert config.judge is not None
    if hints.absent:
        note, unique = "", " (always true here)"
        claim = f"The questions are about something that is claimed to be absent: {concept}."
        fits = "nothing in the image answers the question"
    else:
        note, unique, claim = _TWICE, "", "The target is tinted."
        fits = "the tinted region is exactly what the question means"
    text = config.prompts["judge"].fill(
        overlay_note=note, claim=claim, unique_note=unique, fits=fits, questions=numbered(questions)
    )
    pictures = () if not config.images else ("image",) if hints.absent else ("image", "overlay")
    return Request(text, pictures, JudgeReply, config.judge, config.parameters)


def prompt_of(stage: str, hints: Hints, config: StageConfig) -> PromptTemplate:
    """Return the template of a stage."""
    return config.prompts["absent" if stage == "propose" and hints.absent else stage]


def numbered(questions: Sequence[str]) -> str:
    """Format questions as a numbered list, one per line."""
    return "\n".join(f"{number}. {question}" for number, question in enumerate(questions, start=1))


def select_diverse(questions: Sequence[str], count: int = QUESTIONS) -> list[str]:
    """Select `count` dissimilar questions: the first, then each time the one least similar to those selected."""
    from rapidfuzz.fuzz import token_set_ratio

    remaining = list(dict.fromkeys(questions))
    chosen, remaining = remaining[:1], remaining[1:]
    while remaining and len(chosen) < count:
        farthest = min(remaining, key=lambda question: max(token_set_ratio(question, other) for other in chosen))
        chosen.append(farthest)
        remaining.remove(farthest)
    return chosen


def picture_urls(record: Record, kinds: Sequence[str]) -> list[str]:
    """Encode pictures of a sample (`image`; `overlay`, with the target tinted) as data URLs of JPEGs up to 1,024 px."""
    if not kinds:
        return []
    with Image.open(io.BytesIO(record.image)) as opened:
        image = opened.convert("RGB")
    mask = mask_of(record.mask, Path(record.sample_id)) if "overlay" in kinds else None
    return [
        _data_url(draw_overlay(image, mask if kind == "overlay" else None, PREDICTION_COLOUR, side=SIDE))
        for kind in kinds
    ]


def _data_url(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
