"""The Batch API: all requests that are ready go as one file, answers come within a day at half the price.

A sample's stages depend on each other, so a run takes three batches; each call of `advance` collects what is finished
and submits what has become possible.
"""

from __future__ import annotations

import io
import json
import logging
from dataclasses import dataclass
from typing import Any, Literal

from earthreason.data.sources import Source
from earthreason.errors import EarthReasonError
from earthreason.questions.client import Client, parse
from earthreason.questions.ledger import Call, Ledger, now
from earthreason.questions.pipeline import Outcome, Run, RunConfig
from earthreason.questions.pricing import Prices
from earthreason.questions.stages import picture_urls
from earthreason.questions.types import Absence, Judgement, Proposal, Rewriting, Usage

logger = logging.getLogger("earthreason.questions")
DISCOUNT = 0.5
_ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
_REPLIES = {reply.__name__: reply for reply in (Proposal, Absence, Rewriting, Judgement)}
_ENDED = ("completed", "expired", "cancelled", "failed")


@dataclass
class Progress:
    """What a call of `advance` did.

    Attributes:
        collected: answers taken in.
        submitted: requests sent, in a new batch.
        running: batches that are not finished, with their state.
        outcome: of the samples.
    """

    collected: int
    submitted: int
    running: dict[str, str]
    outcome: Outcome


async def advance(source: Source, config: RunConfig, ledger: Ledger, client: Client) -> Progress:
    """Collect finished batches, carry every sample as far as it goes, submit the requests that lack an answer.

    Raises:
        EarthReasonError: the server refuses, or does not know batches.
    """
    import openai

    try:
        collected, running = await _collect(ledger, client)
        run = Run(config, ledger, None)
        outcome = await run.generate(source)
        in_flight = {key for requests in ledger.open_batches().values() for key in requests}
        waiting = {key: queued for key, queued in run.queued.items() if key not in in_flight}
        if waiting:
            lines, told = [], {}
            for key, queued in waiting.items():
                body = queued.request.body(picture_urls(queued.record, queued.request.pictures))
                lines.append(json.dumps({"custom_id": key, "method": "POST", "url": _ENDPOINT, "body": body}))
                told[key] = {"sample_id": queued.record.sample_id, "stage": queued.stage, "prompt": queued.prompt,
                             "model": queued.request.model, "reply": queued.request.reply.__name__}  # fmt: skip
            content = io.BytesIO("\n".join(lines).encode())
            file = await client.openai.files.create(file=("requests.jsonl", content), purpose="batch")
            batch = await client.openai.batches.create(
                input_file_id=file.id, endpoint=_ENDPOINT, completion_window="24h"
            )
            ledger.record_batch(batch.id, "submitted", told)
            running[batch.id] = batch.status
    except openai.OpenAIError as error:
        raise EarthReasonError(f"the batch could not go on: {str(error).splitlines()[0]}; run again") from None
    return Progress(collected, len(waiting), running, outcome)


async def _collect(ledger: Ledger, client: Client) -> tuple[int, dict[str, str]]:
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


def _call_of(entry: dict[str, Any], told: dict[str, str], prices: Prices) -> Call | None:
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
