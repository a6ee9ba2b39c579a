"""A generation run: each sample is proposed, rewritten, checked, judged and selected; a ledger keeps every answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np

from earthreason.data.reader import read_all
from earthreason.data.schema import Record
from earthreason.data.sources import Source
from earthreason.errors import EarthReasonError
from earthreason.questions import stages
from earthreason.questions.checks import QuestionSet, passing
from earthreason.questions.client import ModelClient, Request, UnusableAnswerError
from earthreason.questions.ledger import Call, Ledger, now
from earthreason.questions.pricing import Prices, describe_unpriced, image_tokens
from earthreason.questions.replies import Answer
from earthreason.questions.types import ANSWERS, QUESTIONS, Absence, Generated, Hints

_NUMBERING = re.compile(r"^\s*\d{1,2}[.)]\s+")
"""Models number their lists even if each question is a list item of its own."""
EMPTY_SHARE = 200 / 5434
"""Share of samples with an empty mask in the official release."""


@dataclass(frozen=True)
class RunConfig:
    """Settings of a run.

    Attributes:
        stages: models and prompts of the stages.
        empty_share: share of samples with a target that get questions about something absent instead. Samples with an
            empty mask always do.
        seed: seed for the choice of those samples.
        max_usd: budget in US dollars; no request is sent that could exceed it.
        limit: largest number of samples.
    """

    stages: stages.StageConfig
    empty_share: float = EMPTY_SHARE
    seed: int = 0
    max_usd: float | None = None
    limit: int | None = None

    def check_budget(self, prices: Prices) -> None:
        """Refuse a budget that cannot be kept.

        Raises:
            EarthReasonError: there is a budget, but the model of a stage has no price.
        """
        models = (self.stages.propose, self.stages.rewrite, self.stages.judge)
        unpriced = sorted({model for model in models if model is not None and prices.of(model) is None})
        if self.max_usd is not None and unpriced:
            remedies = "; ".join(map(describe_unpriced, unpriced))
            raise EarthReasonError(f"--max-usd cannot be kept: {remedies}; or leave out --max-usd")


def hints_of(record: Record, config: RunConfig) -> Hints:
    """Collect the hints about a sample, and decide whether its questions are about something absent."""
    number = int.from_bytes(hashlib.sha256(record.sample_id.encode()).digest()[:4], "big")
    drawn = np.random.default_rng([config.seed, number]).random() < config.empty_share
    extra = json.loads(record.extra) if record.extra else {}
    place = extra.get("place") if isinstance(extra.get("place"), str) else None
    return Hints(record.category, record.ground_resolution, place, absent=record.is_empty or bool(drawn))


class OverBudgetError(RuntimeError):
    """The next request could exceed the budget."""


class PendingAnswerError(LookupError):
    """A request has no answer yet; it waits for the next batch."""


@dataclass
class RunOutcome:
    """Progress of a run.

    Attributes:
        done, quarantined: numbers of finished samples.
        calls: number of requests paid for in this run.
        waiting: number of samples that wait for a batch.
        stopped: why the run ended early; empty if it did not.
    """

    done: int = 0
    quarantined: int = 0
    calls: int = 0
    waiting: int = 0
    stopped: str = ""


@dataclass
class Trail:
    """A sample on its way through the stages: the calls made for it, and the number of them paid for now."""

    record: Record
    hints: Hints
    calls: list[Call] = field(default_factory=list)
    paid: int = 0


@dataclass(frozen=True)
class Queued:
    """A request that waits for a batch."""

    record: Record
    stage: str
    prompt: str
    request: Request[Any]


@dataclass
class GenerationRun:
    """Generator of questions for the samples of a source.

    Attributes:
        config: settings.
        ledger: record of the answers.
        client: client of the model server; None in batch mode.
        queue: takes the key and the request of a missing answer, in batch mode.
    """

    config: RunConfig
    ledger: Ledger
    client: ModelClient | None
    queue: Callable[[str, Queued], Awaitable[None]] | None = None
    _reserved: float = 0.0

    async def generate(self, source: Source, progress: Callable[[RunOutcome], object] = lambda _: None) -> RunOutcome:
        """Process every sample, `concurrency` at a time. Answers that the ledger holds are not requested again.

        Raises:
            EarthReasonError: the server refuses a request or stays unreachable (the ledger keeps the answers so far);
                or a budget is set and a model has no price.
        """
        if self.client is not None:
            self.config.check_budget(self.client.prices)
        outcome = RunOutcome()
        samples = islice(read_all(source), self.config.limit)
        workers = self.client.config.concurrency if self.client else 1
        failure: list[EarthReasonError] = []

        async def work() -> None:
            for split, record in samples:
                if failure or outcome.stopped:
                    return
                try:
                    result, calls = await self._finish(split, record)
                except OverBudgetError as error:
                    outcome.stopped = str(error)
                except PendingAnswerError:
                    outcome.waiting += 1
                except EarthReasonError as error:
                    failure.append(error)
                else:
                    outcome.calls += calls
                    outcome.done += result.status == "done"
                    outcome.quarantined += result.status != "done"
                    progress(outcome)

        await asyncio.gather(*(work() for _ in range(workers)))
        if failure:
            raise failure[0]
        return outcome

    async def _finish(self, split: str, record: Record) -> tuple[Generated, int]:
        trail = Trail(record, hints_of(record, self.config))
        try:
            result = await self._generate(trail)
        except UnusableAnswerError as error:
            result = Generated(record.sample_id, "quarantined", reason=str(error))
        provenance = [
            {"stage": call.stage, "model": call.model, "prompt": call.prompt, "date": call.created, "key": call.key}
            | vars(call.usage)
            for call in trail.calls
        ]
        finished = replace(result, provenance=provenance)
        self.ledger.finish(split, finished)
        return finished, trail.paid

    async def _generate(self, trail: Trail) -> Generated:
        config, record, hints = self.config.stages, trail.record, trail.hints
        proposed = await self._ask("propose", trail, stages.propose_request(hints, config))
        concept, answers = (proposed.concept, []) if isinstance(proposed, Absence) else (None, proposed.answers)
        forbidden = concept or record.category
        rewritten = await self._ask("rewrite", trail, stages.rewrite_request(proposed.questions, forbidden, config))
        texts = [*proposed.questions, *rewritten.questions]
        candidates = list(dict.fromkeys(_NUMBERING.sub("", text).strip() for text in texts))
        passed = passing(QuestionSet(record.sample_id, tuple(candidates), tuple(answers), forbidden, hints.absent))
        if config.judge is not None and passed:
            judged = await self._ask("judge", trail, stages.judge_request(passed, hints, concept, config))
            good = {verdict.number for verdict in judged.verdicts if verdict.passed}
            passed = [question for number, question in enumerate(passed, start=1) if number in good]
        chosen = stages.select_diverse(passed)
        if len(chosen) < QUESTIONS:
            reason = f"only {len(chosen)} of {len(candidates)} questions passed the checks, {QUESTIONS} are needed"
            return Generated(record.sample_id, "quarantined", chosen, answers[:ANSWERS], concept, reason)
        return Generated(record.sample_id, "done", chosen, answers[:ANSWERS], concept)

    async def _ask(self, stage: str, trail: Trail, request: Request[Answer]) -> Answer:
        prompt = stages.prompt_of(stage, trail.hints, self.config.stages).identity
        pixels = "".join(hashlib.sha256(encoded).hexdigest() for encoded in (trail.record.image, trail.record.mask))
        identity = f"{pixels}\n{stage}\n{prompt}\n{vars(trail.hints)}\n{request.identity()}"
        key = hashlib.sha256(identity.encode()).hexdigest()
        call = self.ledger.find(key)
        if call is None and self.client is None:
            if self.queue is not None:
                await self.queue(key, Queued(trail.record, stage, prompt, request))
            raise PendingAnswerError
        if call is None:
            call = await self._pay(key, stage, prompt, trail.record, request)
            trail.paid += 1
        trail.calls.append(call)
        if call.status != "ok":
            raise UnusableAnswerError(f"{stage}: {call.content}", call.usage)
        return request.reply.model_validate(call.content)

    async def _pay(self, key: str, stage: str, prompt: str, record: Record, request: Request[Any]) -> Call:
        assert self.client is not None
        expected = max_cost(request, record, self.client.prices)
        if self.config.max_usd is not None and self.ledger.spent() + self._reserved + expected > self.config.max_usd:
            raise OverBudgetError(over_budget(self.config.max_usd))
        self._reserved += expected
        try:
            answer, usage = await self.client.ask(request, stages.picture_urls(record, request.pictures), key)
            status, content = "ok", answer.model_dump()
        except UnusableAnswerError as error:
            if not error.lasting:
                raise
            status, content, usage = "quarantined", str(error), error.usage
        finally:
            self._reserved -= expected
        call = Call(key, record.sample_id, stage, request.model, prompt, now(), usage, status, content)
        self.ledger.record(call)
        return call


def over_budget(max_usd: float) -> str:
    """Return the reason why a run stops early."""
    return f"stopped before ${max_usd:g} would be exceeded; raise --max-usd to continue"


def max_cost(request: Request[Any], record: Record, prices: Prices, attempts: int = 2) -> float:
    """Estimate the maximum cost of a request in US dollars: text, pictures and the longest answer in every attempt.

    A model without a price costs 0; `RunConfig.check_budget` refuses it if there is a budget.
    """
    price = prices.of(request.model)
    if price is None:
        return 0.0
    pictures = len(request.pictures) * image_tokens(price, record.height, record.width)
    return sum(request.most(prices, pictures, attempt).usd for attempt in range(attempts))
