"""Ask a model once for each answer: from the ledger, with another sample that needs the same, or for money."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pydantic import ValidationError

from earthreason.data.schema import Record
from earthreason.errors import describe_validation_error
from earthreason.questions import stages
from earthreason.questions.budget import Budget, max_cost
from earthreason.questions.ledger import Call, Ledger, now
from earthreason.questions.prompting.pictures import picture_urls
from earthreason.questions.recipe import LIMITS
from earthreason.questions.servers.client import ModelClient, ServerError, UnusableAnswerError
from earthreason.questions.servers.pricing import Spending
from earthreason.questions.servers.replies import Answer
from earthreason.questions.servers.request import Request
from earthreason.questions.settings import RunConfig
from earthreason.questions.trail import Trail

_CUT_OFF = "cut off at the token limit"
"""Words of `replies.parse` about an answer that is."""


class PendingAnswerError(LookupError):
    """A request has no answer yet; it waits for the next batch."""


class StoppedError(RuntimeError):
    """The run is to end, so nothing more is sent."""


@dataclass(frozen=True)
class Queued:
    """A request that waits for a batch.

    Attributes:
        record, split: the sample.
        stage, prompt: stage, and identity of its prompt.
        request: the request.
        base_url: address of the model server; None means OpenAI.
        encode: returns the data URLs of its pictures; None encodes them anew.
    """

    record: Record
    stage: str
    prompt: str
    request: Request[Any]
    split: str = ""
    base_url: str | None = None
    encode: Callable[[], Awaitable[list[str]]] | None = None

    async def urls(self) -> list[str]:
        """Return the data URLs of its pictures.

        Raises:
            UnusableSampleError: the sample's pictures are unreadable.
        """
        if self.encode is None:
            return picture_urls(self.record, self.request.pictures)
        return await self.encode()


Queue = Callable[[str, Queued], Awaitable[None]]
"""Function that takes the key and the request of a missing answer."""


class Asker:
    """Gets the answers of a run.

    Attributes:
        stopping: whether no request may be sent any more.
    """

    def __init__(self, config: RunConfig, ledger: Ledger, client: ModelClient | None, queue: Queue | None) -> None:
        """Prepare for a run.

        Args:
            config: settings.
            ledger: record of the answers.
            client: client of the model server; None in batch mode.
            queue: takes the requests without an answer, in batch mode.
        """
        self._config, self._ledger, self._client = config, ledger, client
        self._queue = queue
        self._base_url = config.base_url if client is None else client.config.base_url or config.base_url
        self._budget = Budget(config.max_usd, ledger)
        self._asking: dict[str, asyncio.Task[Call]] = {}
        self._sent: set[int] = set()
        self.stopping = False

    @property
    def in_flight(self) -> int:
        """Number of requests sent and not yet answered."""
        return len(self._sent)

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
        key = self._key(stage, prompt, trail, request)
        call = self._stored(key, request)
        if call is None and self._client is None:
            if self._queue is not None:
                encode = partial(trail.pictures, request.pictures, pool)
                queued = Queued(trail.record, stage, prompt, request, trail.split, self._base_url, encode)
                await self._queue(key, queued)
            raise PendingAnswerError
        if call is None:
            call = await self._share(key, stage, prompt, trail, request, pool)
        trail.calls.append(call)
        if call.status != "ok":
            raise UnusableAnswerError(f"{stage}: {call.content}", call.usage)
        try:
            return request.reply.model_validate(call.content), call
        except ValidationError as error:  # an older version stored it
            fault = describe_validation_error(error, limit=1)
            raise UnusableAnswerError(f"{stage}: the stored answer has another form: {fault}", call.usage) from None

    def _key(self, stage: str, prompt: str, trail: Trail, request: Request[Any]) -> str:
        """Return the key of a request."""
        unlimited = {name: value for name, value in request.parameters.items() if name not in LIMITS}
        identity = replace(request, parameters=unlimited).identity()
        parts = (trail.pixels, stage, prompt, str(vars(trail.hints)), identity, self._base_url or "")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _stored(self, key: str, request: Request[Any]) -> Call | None:
        """Return the call that answers a request; None if there is none, or its answer was cut off at a lower limit."""
        call = self._ledger.find(key)
        if call is not None and call.status == "quarantined" and _CUT_OFF in str(call.content):
            limit, used = _limit(request.parameters), _limit(call.details.get("parameters") or {})
            if used is not None and (limit is None or limit > used):
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
        spending = Spending(admit=partial(self._admit, number))
        with self._budget.in_flight():
            # A server that honours Idempotency-Key would answer a repetition of what was set aside as before.
            name = f"{key}.{times}" if times else key
            try:
                status, content = await self._answer(number, request, urls, name, heard, spending)
            finally:
                self._sent.discard(number)
            about = {"parameters": self._client.sent_parameters(request), "base_url": self._base_url}
            call = Call(
                key=key,
                sample_id=trail.record.sample_id,
                stage=stage,
                model=request.model,
                prompt=prompt,
                created=now(),
                usage=spending.known,
                status=status,
                content=content,
                split=trail.split,
                details={"served_model": _served_model(heard), **about},
            )
            self._ledger.record(call, number, lost_usd=sum(usage.usd for usage in spending.uncertain))
        return call

    async def _answer(
        self,
        number: int,
        request: Request[Any],
        urls: list[str],
        name: str,
        heard: list[dict[str, Any]],
        spending: Spending,
    ) -> tuple[str, Any]:
        """Return status and content of a call; without an answer, settle in the ledger what it may have cost."""
        from earthreason.questions.servers.connection import NotSentError

        assert self._client is not None
        try:
            answer, _ = await self._client.ask(request, urls, name, heard, spending)
        except UnusableAnswerError as error:
            if error.lasting:
                return "quarantined", str(error)
            self._ledger.settle(number, error.usage.usd)
            raise
        except NotSentError as error:
            self._ledger.settle(number, spending.usage.usd)
            raise error.__cause__ or error from None
        except (ServerError, asyncio.CancelledError):
            self._ledger.settle(number, spending.usage.usd)
            raise
        return "ok", answer.model_dump()

    def _admit(self, number: int, usd: float) -> None:
        """Let a request be sent, after which it may have cost that much.

        Raises:
            StoppedError: the run is to end.
            OverBudgetError: it could exceed the budget.
        """
        if self.stopping:
            raise StoppedError
        self._budget.admit(number, usd)
        self._sent.add(number)


def _limit(parameters: Mapping[str, Any]) -> int | None:
    return next((parameters[name] for name in LIMITS if isinstance(parameters.get(name), int)), None)


def _served_model(heard: Iterable[dict[str, Any]]) -> str | None:
    names = [str(completion["model"]) for completion in heard if completion.get("model")]
    return names[-1] if names else None
