"""What each stage asks: requests in, typed answers out, nothing about transport or memory."""

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
"""Longest side of the pictures sent, pixels."""
_TWICE = " twice: as it is, and with the target tinted orange"


@dataclass(frozen=True)
class StageConfig:
    """Which model does what.

    Attributes:
        propose, rewrite, judge: model names.
        images: send pictures; without, only the hints are sent (for text-only models).
        candidates: questions proposed per image.
        parameters: of every request.
        prompts: templates by name.
    """

    propose: str
    rewrite: str
    judge: str | None
    prompts: dict[str, PromptTemplate]
    images: bool = True
    candidates: int = 10
    parameters: dict[str, Any] = field(default_factory=dict)


def propose_request(hints: Hints, config: StageConfig) -> Request:
    """First questions about the target, or about something that is not there."""
    values: dict[str, object] = {"hints": hints.describe(), "count": config.candidates, "answers": 4}
    if hints.absent:
        text = config.prompts["absent"].fill(**values)
        return Request(text, ("image",) if config.images else (), Absence, config.propose, config.parameters)
    note = _TWICE if config.images else " (not shown here)"
    text = config.prompts["propose"].fill(overlay_note=note, **values)
    pictures = ("image", "overlay") if config.images else ()
    return Request(text, pictures, Proposal, config.propose, config.parameters)


def rewrite_request(questions: Sequence[str], forbidden: str | None, config: StageConfig) -> Request:
    """Other wordings; text only."""
    text = config.prompts["rewrite"].fill(
        questions=numbered(questions), count=len(questions), forbidden=f" ({forbidden})" if forbidden else ""
    )
    return Request(text, (), Rewriting, config.rewrite, config.parameters)


def judge_request(questions: Sequence[str], hints: Hints, concept: str | None, config: StageConfig) -> Request:
    """Verdicts on all candidates."""
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
    """The template behind a stage."""
    return config.prompts["absent" if stage == "propose" and hints.absent else stage]


def numbered(questions: Sequence[str]) -> str:
    """A numbered list, one line each."""
    return "\n".join(f"{number}. {question}" for number, question in enumerate(questions, start=1))


def select_diverse(questions: Sequence[str], count: int = QUESTIONS) -> list[str]:
    """The `count` questions that resemble each other least: the first, then always the farthest from those chosen."""
    from rapidfuzz.fuzz import token_set_ratio

    remaining = list(dict.fromkeys(questions))
    chosen = remaining[:1]
    remaining = remaining[1:]
    while remaining and len(chosen) < count:
        farthest = min(remaining, key=lambda question: max(token_set_ratio(question, other) for other in chosen))
        chosen.append(farthest)
        remaining.remove(farthest)
    return chosen


def picture_urls(record: Record, kinds: Sequence[str]) -> list[str]:
    """JPEG data URLs of the image and of the image with its target tinted, at most 1,024 px a side."""
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
