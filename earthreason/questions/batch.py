"""Generation through the Batch API: answers come within a day, at half the price.

The stages of a sample depend on each other, so a run takes three rounds. Each call of `advance` collects the finished
answers and submits the requests that they make possible, in as many files as the provider's limits require.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from earthreason.data.sources import Source
from earthreason.errors import EarthReasonError
from earthreason.questions.client import ModelClient, parse
from earthreason.questions.ledger import Call, Ledger, now
from earthreason.questions.pipeline import GenerationRun, Queued, RunConfig, RunOutcome, max_cost, over_budget
from earthreason.questions.pricing import Prices
from earthreason.questions.stages import picture_urls
from earthreason.questions.types import Absence, JudgeReply, Proposal, Rewriting

logger = logging.getLogger("earthreason.questions")
DISCOUNT = 0.5
"""Price of a request in a batch, as a share of the normal price."""
MAX_BYTES, MAX_REQUESTS = 200_000_000, 50_000
"""Limits of one batch file, as OpenAI documents them (200 MB)."""
_ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
_REPLIES = {reply.__name__: reply for reply in (Proposal, Absence, Rewriting, JudgeReply)}
_REPLIES["Judgement"] = JudgeReply  # its name in batches submitted before it was renamed
_ENDED = ("completed", "expired", "cancelled", "failed")


@dataclass
class BatchStep:
    """Result of one call of `advance`.

    Attributes:
        collected: number of answers collected.
        submitted: number of requests submitted in new batches.
        running: state of every unfinished batch, by id.
        outcome: progress of the samples; `stopped` says whether the budget left requests unsent.
    """

    collected: int
    submitted: int
    running: dict[str, str]
    outcome: RunOutcome


async def advance(source: Source, config: RunConfig, ledger: Ledger, client: ModelClient) -> BatchStep:
    """Collect finished batches, advance every sample as far as possible, and submit the requests without an answer.

    Raises:
        EarthReasonError: the server refuses a request or does not support batches; or a budget is set and a model has
            no price.
    """
    import openai

    config.check_budget(client.prices)
    try:
        collected, running = await _collect(ledger, client)
        run = GenerationRun(config, ledger, None)
        outcome = await run.generate(source)
        in_flight = {key: about for requests in ledger.open_batches().values() for key, about in requests.items()}
        waiting = {key: queued for key, queued in run.queued.items() if key not in in_flight}
        reserved = sum(about.get("max_cost", about.get("dearest", 0.0)) for about in in_flight.values())
        affordable = _affordable(waiting, config.max_usd, ledger.spent() + reserved, client.prices)
        if len(affordable) < len(waiting):
            outcome.stopped = over_budget(config.max_usd or 0.0)
        for lines in _files(affordable):
            content = io.BytesIO(b"\n".join(lines.values()))
            file = await client.openai.files.create(file=("requests.jsonl", content), purpose="batch")
            batch = await client.openai.batches.create(
                input_file_id=file.id, endpoint=_ENDPOINT, completion_window="24h"
            )
            requests = {key: _description(affordable[key], client.prices) for key in lines}
            ledger.record_batch(batch.id, "submitted", requests)
            running[batch.id] = batch.status
    except openai.OpenAIError as error:
        raise EarthReasonError(f"the batch failed: {str(error).splitlines()[0]}; run again to continue") from None
    return BatchStep(collected, len(affordable), running, outcome)


def _max_cost(queued: Queued, prices: Prices) -> float:
    """Return the maximum cost of a request in a batch, where it is sent once and at a discount."""
    return DISCOUNT * max_cost(queued.request, queued.record, prices, attempts=1)


def _affordable(
    waiting: Mapping[str, Queued], max_usd: float | None, spent: float, prices: Prices
) -> dict[str, Queued]:
    """Return the requests, in order, before the first one that could exceed the budget."""
    affordable: dict[str, Queued] = {}
    for key, queued in waiting.items():
        spent += _max_cost(queued, prices)
        if max_usd is not None and spent > max_usd:
            break
        affordable[key] = queued
    return affordable


def _files(requests: Mapping[str, Queued]) -> Iterator[dict[str, bytes]]:
    """Yield the lines of each batch file by the keys of their requests, within the provider's limits."""
    lines: dict[str, bytes] = {}
    size = 0
    for key, queued in requests.items():
        body = queued.request.body(picture_urls(queued.record, queued.request.pictures))
        line = json.dumps({"custom_id": key, "method": "POST", "url": _ENDPOINT, "body": body}).encode()
        if lines and (size + len(line) + 1 > MAX_BYTES or len(lines) == MAX_REQUESTS):
            yield lines
            lines, size = {}, 0
        lines[key] = line
        size += len(line) + 1
    if lines:
        yield lines


def _description(queued: Queued, prices: Prices) -> dict[str, Any]:
    """Describe a request for the ledger, with the type of its answer and its maximum cost."""
    return {
        "sample_id": queued.record.sample_id,
        "stage": queued.stage,
        "prompt": queued.prompt,
        "model": queued.request.model,
        "reply": queued.request.reply.__name__,
        "max_cost": _max_cost(queued, prices),
    }


async def _collect(ledger: Ledger, client: ModelClient) -> tuple[int, dict[str, str]]:
    collected = 0
    running: dict[str, str] = {}
    for batch_id, requests in ledger.open_batches().items():
        batch = await client.openai.batches.retrieve(batch_id)
        if batch.status not in _ENDED:
            running[batch_id] = batch.status
            continue
        for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
            answers = (await client.openai.files.content(file_id)).text
            for line in filter(str.strip, answers.split("\n")):
                entry = json.loads(line)
                if entry["custom_id"] in requests:
                    call = _call_of(entry, requests[entry["custom_id"]], client.prices)
                    if call is not None:
                        ledger.record(call)
                        collected += 1
        # Requests without an answer (expired, or failed at the provider) go into the next batch.
        ledger.record_batch(batch_id, "collected", requests)
    return collected, running


def _call_of(entry: dict[str, Any], about: dict[str, Any], prices: Prices) -> Call | None:
    response = entry.get("response") or {}
    body = response.get("body") or {}
    if response.get("status_code") != 200 or not body.get("choices"):
        logger.warning("a request about %s failed at the provider; it is sent again", about["sample_id"])
        return None
    usage = prices.usage(about["model"], body, DISCOUNT)
    answer, reason = parse(_REPLIES[about["reply"]], body)
    status, content = ("ok", answer.model_dump()) if answer is not None else ("quarantined", reason)
    key, sample_id = entry["custom_id"], about["sample_id"]
    return Call(key, sample_id, about["stage"], about["model"], about["prompt"], now(), usage, status, content)
