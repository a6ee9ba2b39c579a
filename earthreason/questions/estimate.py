"""Estimate the cost of a run before the first call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from earthreason.data.reader import read_all
from earthreason.data.sources import Source
from earthreason.questions.client import Request
from earthreason.questions.pricing import Prices, image_tokens, text_tokens
from earthreason.questions.settings import RunConfig, hints_of
from earthreason.questions.stages import judge_request, propose_request, rewrite_request

OUTPUT_TOKENS = {"propose": 600, "rewrite": 350, "judge": 700}
"""Expected tokens of an answer: ten questions of 21 words and four answers of 27; ten questions; twenty verdicts."""
_QUESTION = "x" * 125
"""Placeholder as long as a question of 21 words."""


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
    models = {"propose": stages.propose, "rewrite": stages.rewrite, "judge": stages.judge}
    entries = [CostEstimate(stage, model) for stage, model in models.items() if model is not None]
    questions = [_QUESTION] * stages.candidates
    for _, record in islice(read_all(source), config.limit):
        hints = hints_of(record, config)
        requests: list[Request[Any]] = [propose_request(hints, stages), rewrite_request(questions, None, stages)]
        if stages.judge is not None:
            requests.append(judge_request(questions * 2, hints, "something", stages))
        for entry, request in zip(entries, requests, strict=True):
            price = prices.of(request.model)
            picture = image_tokens(price, record.height, record.width) if price else 0
            entry.calls += 1
            schema = request.identity()[len(request.text) :]
            entry.input_tokens += text_tokens(request.text + schema) + len(request.pictures) * picture
            entry.output_tokens += OUTPUT_TOKENS[entry.stage]
        progress(1)
    for entry in entries:
        if prices.of(entry.model) is not None:
            entry.usd = prices.usd(entry.model, entry.input_tokens, entry.output_tokens)
    return entries
