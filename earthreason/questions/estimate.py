"""Estimate the cost of a run before the first call."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from pydantic import BaseModel

from earthreason.data.reader import read_all
from earthreason.data.sources import Source
from earthreason.questions.budget import picture_tokens
from earthreason.questions.prompting.concepts import SHORTLIST
from earthreason.questions.prompting.pictures import TargetView, view_record
from earthreason.questions.servers.pricing import Prices, text_tokens
from earthreason.questions.servers.replies import strict_schema
from earthreason.questions.servers.request import Request
from earthreason.questions.settings import RunConfig, hints_of
from earthreason.questions.stages import StageConfig, judge_request, propose_request, rewrite_request
from earthreason.questions.types import Absence, AskedQuestion, Hints, Proposal, Reply, Rewording, Rewriting

_QUESTION, _ANSWER, _REASON, _NAME = "x" * 125, "x" * 165, "x" * 90, "x" * 15
"""Placeholders as long as a question of 21 words, an answer of 27, a judge's reason of 15 and a name."""
_PER_MESSAGE = 4
"""Tokens of the frame of a message."""


@dataclass
class CostEstimate:
    """Expected calls, tokens and US dollars of a stage; `usd` is None for a model without a price."""

    stage: str
    model: str
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None


def estimate(
    source: Source, config: RunConfig, prices: Prices, progress: Callable[[int], object] = lambda _: None
) -> list[CostEstimate]:
    """Estimate the calls, tokens and cost of every stage from the image sizes and the lengths of the prompts."""
    stages = config.stages
    entries = {stage: CostEstimate(stage, model) for stage, model in stages.models.items() if model is not None}
    for split, record in islice(read_all(source), config.limit):
        hints = hints_of(split, record, config)
        if hints.absent and not config.can_be_absent:
            continue  # it will be quarantined
        view = TargetView() if hints.absent else view_record(record)
        hints = replace(hints, regions=view.regions, concepts=config.concepts[:SHORTLIST] if hints.absent else ())
        for stage, request, reply in _calls(hints, view, stages):
            entry = entries[stage]
            entry.calls += 1
            entry.input_tokens += input_tokens(request) + picture_tokens(request, record, prices)
            entry.output_tokens += text_tokens(reply.model_dump_json())
        progress(1)
    for entry in entries.values():
        if prices.of(entry.model) is not None:
            entry.usd = prices.usd(entry.model, entry.input_tokens, entry.output_tokens)
    return list(entries.values())


def input_tokens(request: Request[Any]) -> int:
    """Estimate the tokens of all messages and the schema, without pictures."""
    reply: type[BaseModel] = request.reply
    schema = json.dumps(strict_schema(reply))
    messages = bool(request.system) + 2 * len(request.examples) + 1
    return text_tokens(request.words() + schema) + _PER_MESSAGE * messages


def _calls(hints: Hints, view: TargetView, config: StageConfig) -> Iterator[tuple[str, Request[Any], Reply]]:
    """Yield the stage, request and expected reply of every call about a sample; all candidates reach the judge."""
    asked = [AskedQuestion(text=_QUESTION, reasoning_type="multi-instance", difficulty="medium")] * config.candidates
    questions, answers = [_QUESTION] * config.candidates, [] if hints.absent else [_ANSWER] * config.answers
    seen = "x" * 300
    proposed: Reply = (
        Absence(seen=seen, present=[_NAME] * 2, concept=_NAME, questions=asked)
        if hints.absent
        else Proposal(target=_NAME, questions=asked, answers=answers)
    )
    yield "propose", propose_request(hints, config, view), proposed
    reworded = [Rewording(number=number, text=text) for number, text in enumerate(questions, start=1)]
    yield "rewrite", rewrite_request(questions, _NAME, config), Rewriting(questions=reworded)
    if config.judge is None:
        return
    verdict: dict[str, Any] = {"number": 10, "reason": _REASON, "implicit": True}
    of_question = {**verdict, "answerable": True, "unique": True, "mask_fits": True}
    of_answer = {"number": 1, "reason": _REASON, "true_of_region": True, "names_target": True, "says_why": True}
    of_absence = {**verdict, "nothing_fits": True, "plausible": True}
    twice = 2 * len(questions)
    judged: dict[str, Any] = (
        {"candidates": [_NAME], "absent": True, "verdicts": [of_absence] * twice}
        if hints.absent
        else {
            "region": _REASON,
            "target_fits": True,
            "verdicts": [of_question] * twice,
            "answers": [of_answer] * len(answers),
        }
    )
    for vote in range(config.votes):
        request = judge_request(questions * 2, answers, _NAME, hints, config, view, vote)
        yield "judge", request, request.reply.model_validate(judged)
