"""The Batch API: all requests that are ready go as one file, answers come within a day at half the price.

A sample's stages depend on each other, so a run takes three batches; each call of `advance` collects what is finished
and submits what has become possible, in as many batches as the provider's limit of a file asks for.
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
from earthreason.questions.pipeline import (
    GenerationRun,
    Queued,
    RunConfig,
    RunOutcome,
    check_priced,
    max_cost,
    over_budget,
)
from earthreason.questions.pricing import Prices
from earthreason.questions.stages import picture_urls
from earthreason.questions.types import Absence, JudgeReply, Proposal, Rewriting, Usage

logger = logging.getLogger("earthreason.questions")
DISCOUNT = 0.5
MAX_BYTES, MAX_REQUESTS = 200_000_000, 50_000
"""Of one batch file, as OpenAI documents it (200 MB)."""
_ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
_REPLIES = {reply.__name__: reply for reply in (Proposal, Absence, Rewriting, JudgeReply)}
_REPLIES["Judgement"] = JudgeReply  # the name in batches submitted before it was renamed
_ENDED = ("completed", "expired", "cancelled", "failed")


@dataclass
class BatchStep:
    """What a call of `advance` did.

    Attributes:
        collected: answers taken in.
        submitted: requests sent, in new batches.
        running: batches that are not finished, with their state.
        outcome: of the samples; `stopped` says if the budget left requests unsent.
    """

    collected: int
    submitted: int
    running: dict[str, str]
    outcome: RunOutcome


async def advance(source: Source, config: RunConfig, ledger: Ledger, client: ModelClient) -> BatchStep:
    """Collect finished batches, carry every sample as far as it goes, submit the requests that lack an answer.

    Raises:
        EarthReasonError: the server refuses, or does not know batches; or a budget is set and a model has no price.
    """
    import openai

    check_priced(config, client.prices)
    try:
        collected, running = await _collect(ledger, client)
        run = GenerationRun(config, ledger, None)
        outcome = await run.generate(source)
        in_flight = {key: told for requests in ledger.open_batches().values() for key, told in requests.items()}
        waiting = {key: queued for key, queued in run.queued.items() if key not in in_flight}
        reserved = sum(told.get("max_cost", told.get("dearest", 0.0)) for told in in_flight.values())
        affordable = _affordable(waiting, config.max_usd, ledger.spent() + reserved, client.prices)
        if len(affordable) < len(waiting):
            outcome.stopped = over_budget(config.max_usd or 0.0)
        for lines, keys in _files(affordable):
            batch = await _submit(client, b"\n".join(lines))
            told = {key: _told(affordable[key], client.prices) for key in keys}
            ledger.record_batch(batch.id, "submitted", told)
            running[batch.id] = batch.status
    except openai.OpenAIError as error:
        raise EarthReasonError(f"the batch could not go on: {str(error).splitlines()[0]}; run again") from None
    return BatchStep(collected, len(affordable), running, outcome)


def _max_cost(queued: Queued, prices: Prices) -> float:
    """A batch asks once, at its discount."""
    return DISCOUNT * max_cost(queued.request, queued.record, prices, attempts=1)


def _affordable(
    waiting: Mapping[str, Queued], max_usd: float | None, spent: float, prices: Prices
) -> dict[str, Queued]:
    """The requests, in their order, up to the one that could exceed the budget."""
    found: dict[str, Queued] = {}
    for key, queued in waiting.items():
        spent += _max_cost(queued, prices)
        if max_usd is not None and spent > max_usd:
            break
        found[key] = queued
    return found


def _files(requests: Mapping[str, Queued]) -> Iterator[tuple[list[bytes], list[str]]]:
    """Lines of batch files within the provider's limits, and the keys of their requests; one file in memory."""
    lines: list[bytes] = []
    keys: list[str] = []
    size = 0
    for key, queued in requests.items():
        body = queued.request.body(picture_urls(queued.record, queued.request.pictures))
        line = json.dumps({"custom_id": key, "method": "POST", "url": _ENDPOINT, "body": body}).encode()
        if keys and (size + len(line) + 1 > MAX_BYTES or len(keys) == MAX_REQUESTS):
            yield lines, keys
            lines, keys, size = [], [], 0
        lines.append(line)
        keys.append(key)
        size += len(line) + 1
    if keys:
        yield lines, keys


def _told(queued: Queued, prices: Prices) -> dict[str, Any]:
    """What the ledger keeps of a request, to understand its answer and to count what it may still cost."""
    return {
        "sample_id": queued.record.sample_id,
        "stage": queued.stage,
        "prompt": queued.prompt,
        "model": queued.request.model,
        "reply": queued.request.reply.__name__,
        "max_cost": _max_cost(queued, prices),
    }


async def _submit(client: ModelClient, content: bytes) -> Any:
    file = await client.openai.files.create(file=("requests.jsonl", io.BytesIO(content)), purpose="batch")
    return await client.openai.batches.create(input_file_id=file.id, endpoint=_ENDPOINT, completion_window="24h")


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
        # What has no answer (expired, failed at the provider) is simply asked again in the next batch.
        ledger.record_batch(batch_id, "collected", requests)
    return collected, running


def _call_of(entry: dict[str, Any], told: dict[str, Any], prices: Prices) -> Call | None:
    response = entry.get("response") or {}
    body = response.get("body") or {}
    if response.get("status_code") != 200 or not body.get("choices"):
        logger.warning("a request about %s failed at the provider; it is asked again", told["sample_id"])
        return None
    spent = body.get("usage") or {}
    tokens = [int(spent.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
    usage = Usage(tokens[0], tokens[1], DISCOUNT * prices.usd(told["model"], tokens[0], tokens[1]))
    answer, reason = parse(_REPLIES[told["reply"]], body["choices"][0])
    status, content = ("ok", answer.model_dump()) if answer is not None else ("quarantined", reason)
    key, sample_id = entry["custom_id"], told["sample_id"]
    return Call(key, sample_id, told["stage"], told["model"], told["prompt"], now(), usage, status, content)
