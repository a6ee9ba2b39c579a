"""Ask a model once for each answer: from the ledger, with another sample that needs the same, or for money."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from earthreason.data.schema import Record
from earthreason.errors import EarthReasonError
from earthreason.questions import stages
from earthreason.questions.budget import Budget, max_cost
from earthreason.questions.client import Answer, ModelClient, Request, UnusableAnswerError
from earthreason.questions.ledger import Call, Ledger, now
from earthreason.questions.recipe import LIMIT
from earthreason.questions.settings import RunConfig
from earthreason.questions.trail import Trail

_FIRST_LIMIT = 2000
"""Token limit that nearly all answers from before 2026-11-28 have in their keys: the default of that time."""
_CUT_OFF = "cut off at the token limit"
"""Words of `client.parse` about an answer that is."""


class PendingAnswerError(LookupError):
    """A request has no answer yet; it waits for the next batch."""


class StoppedError(RuntimeError):
    """The run is to end, so nothing more is sent."""


@dataclass(frozen=True)
class Queued:
    """A request that waits for a batch."""

    record: Record
    stage: str
    prompt: str
    request: Request[Any]


class Asker:
    """Gets the answers of a run.

    Attributes:
        queued: requests without an answer by key, in batch mode.
        in_flight: number of requests sent and not yet answered.
        stopping: whether no request may be sent any more.
    """

    def __init__(self, config: RunConfig, ledger: Ledger, client: ModelClient | None, adopts: bool) -> None:
        """Prepare for a run.

        Args:
            config: settings.
            ledger: record of the answers.
            client: client of the model server; None in batch mode.
            adopts: whether answers in the ledger may have keys from before recipes were kept.
        """
        self._config, self._ledger, self._client, self._adopts = config, ledger, client, adopts
        self._base_url = config.base_url if client is None else client.config.base_url or config.base_url
        self._budget = Budget(config.max_usd, ledger)
        self._submitted = {key for requests in ledger.open_batches().values() for key in requests} if adopts else set()
        self._asking: dict[str, asyncio.Task[Call]] = {}
        self.queued: dict[str, Queued] = {}
        self.in_flight = 0
        self.stopping = False

    async def ask(
        self, stage: str, trail: Trail, request: Request[Answer], pool: ThreadPoolExecutor
    ) -> tuple[Answer, Call]:
        """Return the answer to a request, and its call.

        Raises:
            UnusableAnswerError: there is no usable answer.
            UnusableSampleError: the sample's pictures are unreadable.
            PendingAnswerError: in batch mode, there is no answer yet.
            OverBudgetError: the request could exceed the budget.
            StoppedError: the run is to end.
            EarthReasonError: the server refuses the request, or stays unreachable.
        """
        prompt = stages.prompt_of(stage, trail.hints, self._config.stages).identity
        key, older = self._keys(stage, prompt, trail, request)
        call = self._stored(key, older, request)
        if call is None and self._client is None:
            key = next((old for old in older if old in self._submitted), key)
            self.queued[key] = Queued(trail.record, stage, prompt, request)
            raise PendingAnswerError
        if call is None:
            call = await self._share(key, stage, prompt, trail, request, pool)
        trail.calls.append(call)
        if call.status != "ok":
            raise UnusableAnswerError(f"{stage}: {call.content}", call.usage)
        return request.reply.model_validate(call.content), call

    def _keys(self, stage: str, prompt: str, trail: Trail, request: Request[Any]) -> tuple[str, dict[str, int | None]]:
        """Return the key of a request, and those it had before recipes were kept, with the token limit in them."""
        before = f"{trail.pixels}\n{stage}\n{prompt}\n{vars(trail.hints)}\n"
        unlimited = {name: value for name, value in request.parameters.items() if name != LIMIT}
        identity = f"{before}{replace(request, parameters=unlimited).identity()}\n{self._base_url or ''}"
        older: dict[str, int | None] = {}
        if self._adopts:
            limit = request.parameters.get(LIMIT)
            for used in dict.fromkeys((limit, None if limit is None else _FIRST_LIMIT)):
                parameters = request.parameters if used is None else {**request.parameters, LIMIT: used}
                older[_digest(before + replace(request, parameters=parameters).identity())] = used
        return _digest(identity), older

    def _stored(self, key: str, older: dict[str, int | None], request: Request[Any]) -> Call | None:
        """Return the call that answers a request; None if there is none, or its answer was cut off at a lower limit."""
        call = self._ledger.find(key)
        if call is None:
            for old, limit in older.items():
                if self._ledger.find(old) is not None:
                    self._ledger.rename(old, key, {} if limit is None else {"parameters": {LIMIT: limit}})
                    call = self._ledger.find(key)
                    break
        if call is not None and call.status == "quarantined" and _CUT_OFF in str(call.content):
            limit = (call.details.get("parameters") or {}).get(LIMIT)
            if limit is not None and request.parameters.get(LIMIT, limit) > limit:
                self._ledger.set_aside([key])
                return None
        return call

    async def _share(
        self, key: str, stage: str, prompt: str, trail: Trail, request: Request[Any], pool: ThreadPoolExecutor
    ) -> Call:
        """Pay for an answer, or wait for another sample that is just paying for the same."""
        if key in self._asking:
            trail.shared += 1
            return await asyncio.shield(self._asking[key])
        task = self._asking[key] = asyncio.create_task(self._pay(key, stage, prompt, trail, request, pool))
        try:
            call = await task
        finally:
            del self._asking[key]
        trail.paid += 1
        return call

    async def _pay(
        self, key: str, stage: str, prompt: str, trail: Trail, request: Request[Any], pool: ThreadPoolExecutor
    ) -> Call:
        assert self._client is not None
        urls = await trail.pictures(request.pictures, pool)
        expected = max_cost(request, trail.record, self._client.prices)
        await self._budget.wait_for(expected)
        if self.stopping:
            raise StoppedError
        times = self._ledger.times_set_aside(key)
        number = self._ledger.send(key, trail.sample, stage, request.model, expected)
        heard: list[dict[str, Any]] = []
        with self._budget.in_flight():
            self.in_flight += 1
            try:
                # A server that honours Idempotency-Key would answer a repetition of what was set aside as before.
                answer, usage = await self._client.ask(request, urls, f"{key}.{times}" if times else key, heard)
                status, content = "ok", answer.model_dump()
            except UnusableAnswerError as error:
                if not getattr(error, "lasting", True):
                    self._ledger.settle(number, error.usage.usd)
                    raise
                status, content, usage = "quarantined", str(error), error.usage
            except EarthReasonError as error:
                if (used := getattr(error, "usage", None)) is not None:
                    self._ledger.settle(number, used.usd)
                raise
            finally:
                self.in_flight -= 1
            about = {"parameters": request.parameters, "base_url": self._base_url}
            details = {"served_model": _served_model(heard), **about}
            call = Call(
                key=key,
                sample_id=trail.record.sample_id,
                stage=stage,
                model=request.model,
                prompt=prompt,
                created=now(),
                usage=usage,
                status=status,
                content=content,
                split=trail.split,
                details=details,
            )
            self._ledger.record(call, number)
        return call


def _served_model(heard: Iterable[dict[str, Any]]) -> str | None:
    names = [str(completion["model"]) for completion in heard if completion.get("model")]
    return names[-1] if names else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
