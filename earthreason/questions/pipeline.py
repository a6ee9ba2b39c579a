"""A generation run: its samples go through the stages side by side; a ledger keeps every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

from earthreason.data.reader import read_all
from earthreason.data.schema import Record
from earthreason.data.sources import Source
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.questions.asking import Asker, PendingAnswerError, Queue, Queued, StoppedError
from earthreason.questions.budget import OverBudgetError, max_cost, over_budget
from earthreason.questions.ledger import Ledger
from earthreason.questions.prompting.concepts import shortlist
from earthreason.questions.provenance import facts_of_call
from earthreason.questions.quarantine import EMPTY_UNSEEN
from earthreason.questions.recipe import keep_recipe, recipe_of
from earthreason.questions.servers.client import ModelClient, UnusableAnswerError
from earthreason.questions.settings import EMPTY_SHARE, RunConfig, hints_of
from earthreason.questions.trail import Trail, UnusableSampleError, encoding_pool, look
from earthreason.questions.types import Generated
from earthreason.questions.writing import write_texts

__all__ = [
    "EMPTY_SHARE",
    "GenerationRun",
    "Queued",
    "RunConfig",
    "RunOutcome",
    "hints_of",
    "max_cost",
    "over_budget",
]


@dataclass
class RunOutcome:
    """Progress of a run.

    Attributes:
        done, quarantined: numbers of finished samples.
        calls: number of requests paid for in this run.
        shared: number of answers that an identical sample asked for at the same time.
        waiting: number of samples that wait for a batch.
        stopped: why the run ended early; empty if it did not.
        interrupted: whether it ended early because it was told to.
    """

    done: int = 0
    quarantined: int = 0
    calls: int = 0
    shared: int = 0
    waiting: int = 0
    stopped: str = ""
    interrupted: bool = False

    @property
    def complete(self) -> bool:
        """Whether every sample has its questions."""
        return not (self.quarantined or self.waiting or self.stopped)


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
    queue: Queue | None = None
    _stopping: str = ""
    _asker: Asker | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return bool(self._stopping)

    @property
    def in_flight(self) -> int:
        """Number of requests sent and not yet answered."""
        return 0 if self._asker is None else self._asker.in_flight

    def stop(self, reason: str) -> None:
        """Send nothing more; the run ends when the requests in flight are answered."""
        self._stopping = reason
        if self._asker is not None:
            self._asker.stopping = True

    async def generate(self, source: Source, progress: Callable[[RunOutcome], object] = lambda _: None) -> RunOutcome:
        """Process every sample, `concurrency` at a time. Answers that the ledger holds are not requested again.

        A sample that cannot be used, or that the model gives no usable answer for, is quarantined.

        Raises:
            EarthReasonError: the server refuses a request or stays unreachable (the ledger keeps the answers so far);
                a budget is set and a model has no price; the ledger holds a run with another recipe of this name; or
                another process generates into it.
        """
        if self.client is not None:
            self.config.check_budget(self.client.prices)
        with self.ledger.locked():
            base_url = self.config.base_url if self.client is None else self.client.config.base_url
            keep_recipe(self.ledger, recipe_of(self.config, base_url))
            self._asker = Asker(self.config, self.ledger, self.client, self.queue)
            self._asker.stopping = bool(self._stopping)
            return await _Crew(self, self._asker, progress).work(self._in_order(source))

    def _in_order(self, source: Source) -> Iterator[tuple[str, Record]]:
        """Yield the samples, those last that were quarantined before: several at the start would end every run."""
        quarantined = {(split, result.sample_id) for split, result in self.ledger.results() if result.status != "done"}
        rounds = (False, True) if quarantined else (False,)
        return (
            (split, record)
            for is_late in rounds
            for split, record in islice(read_all(source), self.config.limit)
            if ((split, record.sample_id) in quarantined) == is_late
        )

    async def finish(self, trail: Trail, asker: Asker, pool: ThreadPoolExecutor) -> Generated:
        """Generate and save the questions of a sample.

        Raises:
            UnusableSampleError: the sample's pictures are unreadable.
            EarthReasonError, PendingAnswerError, OverBudgetError, StoppedError: see `Asker.ask`.
        """
        try:
            result = await write_texts(trail, asker, self.config.stages, pool)
        except UnusableAnswerError as error:
            result = Generated(trail.record.sample_id, "quarantined", reason=str(error))
        result = replace(result, provenance=[facts_of_call(call) for call in trail.calls], pixels=trail.pixels)
        self.ledger.finish(trail.split, result)
        return result


class _Crew:
    """The workers of a run, and what becomes of samples that fail."""

    def __init__(self, run: GenerationRun, asker: Asker, progress: Callable[[RunOutcome], object]) -> None:
        self._run, self._asker, self._progress = run, asker, progress
        self._outcome = RunOutcome()
        self._failure: EarthReasonError | None = None

    async def work(self, samples: Iterator[tuple[str, Record]]) -> RunOutcome:
        client, run, outcome = self._run.client, self._run, self._outcome
        workers = client.config.concurrency if client else 1
        pool = encoding_pool()
        try:
            await asyncio.gather(*(self._work(samples, pool) for _ in range(workers)))
        finally:
            pool.shutdown(cancel_futures=True)
        if self._failure is not None:
            raise self._failure
        if run.is_stopping:
            outcome.stopped, outcome.interrupted = run._stopping, True
        return outcome

    async def _work(self, samples: Iterator[tuple[str, Record]], pool: ThreadPoolExecutor) -> None:
        while not (self._failure or self._outcome.stopped or self._run.is_stopping):
            try:
                entry = next(samples, None)
            except EarthReasonError as error:
                self._failure = error
                return
            if entry is None:
                return
            await self._finish(*entry, pool)

    async def _finish(self, split: str, record: Record, pool: ThreadPoolExecutor) -> None:
        outcome = self._outcome
        try:
            trail = await self._begin(split, record, pool)
            result = await self._run.finish(trail, self._asker, pool)
        except UnusableSampleError as error:
            self._quarantine(split, record, str(error))
        except OverBudgetError as error:
            outcome.stopped = str(error)
        except PendingAnswerError:
            outcome.waiting += 1
        except StoppedError:
            pass
        except EarthReasonError as error:
            self._failure = self._failure or error
        else:
            outcome.calls += trail.paid
            outcome.shared += trail.shared
            outcome.done += result.status == "done"
            outcome.quarantined += result.status != "done"
            self._progress(outcome)

    async def _begin(self, split: str, record: Record, pool: ThreadPoolExecutor) -> Trail:
        """Decide what is asked about a sample, and how it is shown.

        Raises:
            UnusableSampleError: nothing can be asked about it.
        """
        config = self._run.config
        try:
            hints = hints_of(split, record, config)
        except DataFormatError as error:
            raise UnusableSampleError(str(error)) from None
        if hints.absent and not config.can_be_absent:
            raise UnusableSampleError(EMPTY_UNSEEN)
        pixels, view = await look(record, hints.absent, pool)
        if not hints.absent:
            return Trail(split, record, replace(hints, regions=view.regions), pixels, view)
        concepts = shortlist(config.concepts, config.seed, (split, record.sample_id), hints.category)
        if not concepts:
            raise UnusableSampleError(f"every concept that could be absent is related to its category {hints.category}")
        return Trail(split, record, replace(hints, concepts=concepts), pixels, view)

    def _quarantine(self, split: str, record: Record, reason: str) -> None:
        self._run.ledger.finish(split, Generated(record.sample_id, "quarantined", reason=reason))
        self._outcome.quarantined += 1
        self._progress(self._outcome)
