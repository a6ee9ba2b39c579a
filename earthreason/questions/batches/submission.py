"""Submit requests in batches: files within the provider's limits, written to disk and sent one by one."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Literal

from earthreason.questions.budget import picture_tokens
from earthreason.questions.ledger import Ledger
from earthreason.questions.pipeline import Queued
from earthreason.questions.servers.adaptation import adapt, enlarge, known_refusals
from earthreason.questions.servers.client import ModelClient
from earthreason.questions.servers.pricing import Prices
from earthreason.questions.types import Usage

logger = logging.getLogger("earthreason.questions")
MAX_BYTES, MAX_REQUESTS = 200_000_000, 50_000
"""Limits of one batch file, as OpenAI documents them (200 MB)."""
ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
CREATING = "creating-"
"""Beginning of the ledger's id of a batch whose creation was not yet confirmed; its mark at the provider follows."""
MARK = "earthreason"
"""Key of the mark in the metadata of a batch."""
FAULTS, REFUSED, ROOM = "batch_faults", "batch_refused", "batch_room"
"""Settings of the ledger: failed attempts and larger limits by request, refused parameters by model, and the largest
number of requests in flight."""
_SEARCHED = 500
"""Number of the newest batches at the provider among which a mark is searched."""
_CREATIONS = 3
"""Number of times that the creation of a batch is tried."""
_PAUSE = 2.0
"""Pause before the next try, seconds; a creation answered late may still appear."""


class Submission:
    """Sends the requests of a run in batches. At most one file is on disk and one request in memory.

    Attributes:
        submitted: number of requests submitted.
        running: state of every new batch, by id.
        over_budget: whether the budget left requests unsent.
    """

    def __init__(self, ledger: Ledger, client: ModelClient, max_usd: float | None) -> None:
        self._ledger, self._client, self._max_usd = ledger, client, max_usd
        in_flight = {key: about for requests in ledger.open_batches().values() for key, about in requests.items()}
        self._known = set(in_flight)
        self._cost = ledger.committed() + sum(
            about.get("max_cost", about.get("dearest", 0.0)) for about in in_flight.values()
        )
        self._faults: dict[str, dict[str, int]] = ledger.setting(FAULTS) or {}
        self._refused = {model: set(names) for model, names in (ledger.setting(REFUSED) or {}).items()}
        self._room = (ledger.setting(ROOM) or float("inf")) - len(in_flight)
        self._lock = asyncio.Lock()
        self.submitted = 0
        self.running: dict[str, str] = {}
        self.over_budget = False

    def __enter__(self) -> Submission:
        self._start_file()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def _start_file(self) -> None:
        # Beside the ledger: a system's folder for temporary files is often kept in memory.
        self._file = tempfile.TemporaryFile(dir=self._ledger.path.parent)  # noqa: SIM115
        self._size = 0
        self._described: dict[str, dict[str, Any]] = {}

    async def add(self, key: str, queued: Queued) -> None:
        """Add a request, unless it is in flight or could exceed the budget; submit the file before if it is full."""
        async with self._lock:
            if key in self._known:
                return
            most = most_usage(queued, self._client.prices)
            larger = self._faults.get(key, {}).get("larger", 1)
            cost = most.usd * larger
            self.over_budget = self.over_budget or (self._max_usd is not None and self._cost + cost > self._max_usd)
            if self.over_budget or self._room < 1:
                return
            model = queued.request.model
            refused = known_refusals(model) | self._refused.get(model, set())
            line = _line_of(key, queued, await queued.urls(), larger, refused)
            if self._described and (self._size + len(line) > MAX_BYTES or len(self._described) == MAX_REQUESTS):
                await self._submit()
            self._file.write(line)
            self._size += len(line)
            self._known.add(key)
            self._cost += cost
            self._room -= 1
            self._described[key] = {
                "split": queued.split,
                "sample_id": queued.record.sample_id,
                "parameters": queued.request.parameters,
                "base_url": queued.base_url,
                "stage": queued.stage,
                "prompt": queued.prompt,
                "model": model,
                "reply": queued.request.reply.__name__,
                "given": dict(queued.request.given),
                "max_cost": cost,
                "max_tokens": [most.input_tokens, most.output_tokens * larger],
                "refused": sorted(refused),
            }

    async def finish(self) -> None:
        """Submit what was added."""
        async with self._lock:
            if self._described:
                await self._submit()

    async def _submit(self) -> None:
        self._file.flush()
        self._file.seek(0)
        upload = self._client.openai.files.create(file=("requests.jsonl", self._file), purpose="batch")
        file = await identified(upload, "the file of a batch")
        mark = uuid.uuid4().hex
        # Noted first: a process killed after the creation finds the batch again by its mark, and pays it once.
        self._ledger.record_batch(CREATING + mark, "submitted", self._described)
        batch = await self._create(file.id, mark)
        self._ledger.record_batch(batch.id, "submitted", self._described)
        self._ledger.record_batch(CREATING + mark, "confirmed", {})
        self.running[batch.id] = str(batch.status)
        self.submitted += len(self._described)
        self._file.close()
        self._start_file()

    async def _create(self, file_id: str, mark: str) -> Any:
        """Create a batch. After a lost answer, look for it before trying again: a second one would be paid, too.

        Raises:
            OpenAIError: the provider refuses it, or no answer came.
        """
        import openai

        from earthreason.questions.servers.connection import HopelessError

        once = self._client.openai.with_options(max_retries=0)
        for attempt in range(_CREATIONS):
            try:
                creation = once.batches.create(
                    input_file_id=file_id, endpoint=ENDPOINT, completion_window="24h", metadata={MARK: mark}
                )
                return await identified(creation, "a new batch")
            except openai.APIStatusError as error:
                if error.status_code < 500 and error.status_code not in (408, 409, 429):
                    self._ledger.record_batch(CREATING + mark, "refused", {})
                    raise
                fault: openai.OpenAIError = error
            except (openai.APIConnectionError, HopelessError) as error:
                fault = error
            await asyncio.sleep(_PAUSE)
            if (found := await find_batch(self._client, marked(mark))) is not None:
                return found
            if attempt == _CREATIONS - 1:
                raise fault
        raise AssertionError("unreachable")


def _line_of(key: str, queued: Queued, urls: Sequence[str], larger: int, refused: set[str]) -> bytes:
    body = adapt(enlarge(queued.request.body(urls), larger), refused)
    return json.dumps({"custom_id": key, "method": "POST", "url": ENDPOINT, "body": body}).encode() + b"\n"


def most_usage(queued: Queued, prices: Prices) -> Usage:
    """Estimate the most that a request uses in a batch, where it is sent once and at a discount."""
    tokens = picture_tokens(queued.request, queued.record, prices)
    return queued.request.most(prices, tokens, batch=True)


async def identified(answer: Awaitable[Any], what: str) -> Any:
    """Return what a server tells of a file or batch.

    Raises:
        OpenAIError: the server refuses, or tells no id: it answers with a web page, for example.
    """
    from earthreason.questions.servers.connection import HopelessError

    try:
        told = await answer
    except ValueError as error:  # no JSON
        raise HopelessError(f"the server's answer about {what} is not readable ({error})") from None
    if not isinstance(getattr(told, "id", None), str) or not told.id:
        raise HopelessError(f"the server's answer about {what} has no id; does it have the Batch API at --base-url?")
    return told


def marked(mark: str) -> Callable[[Any], bool]:
    """Return the condition that a batch has this mark."""
    return lambda batch: (batch.metadata or {}).get(MARK) == mark


async def find_batch(client: ModelClient, wanted: Callable[[Any], bool]) -> Any | None:
    """Return the newest batch at the provider that is wanted, or None if there is none among the newest.

    Raises:
        OpenAIError: the server refuses, or its list is not readable.
    """
    import openai

    from earthreason.questions.servers.connection import HopelessError

    searched = 0
    try:
        async for batch in client.openai.batches.list(limit=100):
            if wanted(batch):
                return batch
            searched += 1
            if searched >= _SEARCHED:
                break
    except openai.NotFoundError:  # a server without a list
        logger.warning("%s has no list of batches, so a batch without an answer is not found", client.openai.base_url)
    except (AttributeError, TypeError, ValueError) as error:
        raise HopelessError(f"the server's list of batches is not readable ({error})") from None
    return None
