"""Requests that wait for a model, in one bounded queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from earthreason.geo.answers import SceneAnswers
from earthreason.geo.scene import Scene

from .results import Result
from .settings import RefusedError

MOST_TOGETHER = 8
"""Most small pictures whose tiles a model is given at once."""
_BUSY_SECONDS = 5
"""When to ask again, before any request was answered."""


@dataclass(frozen=True)
class Outcome:
    """What a job gives.

    Attributes:
        result: kept answers to the job's questions.
        seconds: time of the work, shared by jobs that were answered together.
        waited: time in the queue.
    """

    result: Result
    seconds: float
    waited: float


@dataclass(eq=False)
class Job:
    """Questions about a picture.

    Attributes:
        picture: key of picture, area and task; jobs that share it are answered together.
        path: file of the picture.
        open_scene: opens the picture.
        questions: questions to ask.
        keep: keeps answers to these questions, with the picture of the answered area, (height, width, 3) uint8.
        area: area as "west,south,east,north" in degrees; None for the whole picture.
        task: kind of question; None for that of the checkpoint.
        is_small: whether one tile may hold the picture.
        words: whether the model also answers in words.
        done: outcome, or why there is none.
        stop: set once nobody waits for the outcome.
    """

    picture: str
    path: Path
    open_scene: Callable[[], AbstractContextManager[Scene]]
    questions: tuple[str, ...]
    keep: Callable[[SceneAnswers, np.ndarray], Result]
    area: str | None = None
    task: str | None = None
    is_small: bool = False
    words: bool = False
    done: Future[Outcome] = field(default_factory=Future)
    stop: threading.Event = field(default_factory=threading.Event)
    arrived: float = field(default_factory=time.monotonic)

    def fail(self, error: BaseException) -> None:
        """End the job with an error, unless it has ended."""
        with suppress(InvalidStateError):
            self.done.set_exception(error)

    def finish(self, outcome: Outcome) -> None:
        """End the job with its outcome, unless it has ended."""
        with suppress(InvalidStateError):
            self.done.set_result(outcome)


class JobQueue:
    """Waiting jobs, in the order of their arrival."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: list[Job] = []
        self._changed = threading.Condition()
        self._closed = False
        self._seconds = float(_BUSY_SECONDS)

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, job: Job) -> None:
        """Let a job wait.

        Raises:
            RefusedError: too many wait, or the server is shutting down.
        """
        with self._changed:
            if self._closed:
                raise _shutting_down()
            self._drop_stopped()
            if len(self._waiting) >= self._most:
                seconds = max(1, round(self._seconds))
                raise RefusedError(429, f"{self._most} requests wait already; ask again in {seconds} s", seconds)
            self._waiting.append(job)
            self._changed.notify()

    def take(self) -> list[list[Job]]:
        """Wait for the next jobs to answer together; return them by picture, or nothing once the queue is closed.

        All jobs about the picture of the first one are taken. If it is small, so are others with the same questions
        about small pictures: their tiles can be scored at once.
        """
        with self._changed:
            while not self._closed:
                self._drop_stopped()
                if self._waiting:
                    return self._take_together()
                self._changed.wait()
            return []

    def _take_together(self) -> list[list[Job]]:
        first = self._waiting[0]
        groups = {first.picture: [job for job in self._waiting if job.picture == first.picture]}
        if first.is_small:
            for job in self._waiting:
                alike = job.is_small and job.task == first.task and job.questions == first.questions
                if job.picture in groups and job not in groups[job.picture]:
                    groups[job.picture].append(job)
                elif alike and job.picture not in groups and len(groups) < MOST_TOGETHER:
                    groups[job.picture] = [job]
        taken = {id(job) for group in groups.values() for job in group}
        self._waiting = [job for job in self._waiting if id(job) not in taken]
        return list(groups.values())

    def note_seconds(self, seconds: float) -> None:
        """Note how long jobs took, from which a refused client is told when to ask again."""
        self._seconds = 0.7 * self._seconds + 0.3 * seconds

    def close(self) -> None:
        """Refuse the waiting jobs and all later ones."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = self._waiting, []
            self._changed.notify_all()
        for job in waiting:
            job.fail(_shutting_down())

    def close_soon(self) -> None:
        """Close the queue from a handler of signals, which may have interrupted a thread that holds its lock."""
        threading.Thread(target=self.close, daemon=True).start()

    def _drop_stopped(self) -> None:
        self._waiting = [job for job in self._waiting if not job.stop.is_set()]


def _shutting_down() -> RefusedError:
    return RefusedError(503, "the server is shutting down")
