"""One thread for each model: it takes waiting jobs and answers together what belongs together."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from earthreason.errors import EarthReasonError
from earthreason.geo.answers import SceneAnswers
from earthreason.geo.model import TileModel, TileScores
from earthreason.geo.scene import Scene

from .jobs import Job, JobQueue, Outcome
from .metrics import Measures
from .segmenting import asking, can_write
from .settings import RefusedError

logger = logging.getLogger(__name__)

Answered = tuple[SceneAnswers, np.ndarray]
"""Answers, and the picture of the answered area, (height, width, 3) uint8."""
Answer = Callable[[TileModel, Scene, Path, Sequence[str], str | None, bool], AbstractContextManager[Answered]]
"""Answers questions about a scene, opened from a file, or an area of it, if asked also in words.

The answers last as long as the context.
"""
_MEMORY_WORDS = ("out of memory", "not enough memory", "can't allocate memory")


class StoppedError(Exception):
    """Nobody waits for the answer any more."""


class WatchedModel:
    """A model that stops between tiles once nobody waits, and knows the scores of tiles that were asked ahead."""

    def __init__(self, model: TileModel, stopped: Callable[[], bool]) -> None:
        self.name, self.tile_side = model.name, model.tile_side
        self.ground_resolution, self.no_target_threshold = model.ground_resolution, model.no_target_threshold
        self._model, self._stopped = model, stopped
        self._known: dict[tuple[bytes, tuple[str, ...]], TileScores] = {}
        if can_write(model):
            self.answer = self._write  # other models must not seem to have it

    def ask_ahead(self, tiles: Sequence[np.ndarray], questions: Sequence[str]) -> None:
        """Score tiles of several pictures at once."""
        keys = [(_key(tile), tuple(questions)) for tile in tiles]
        self._known.update(zip(keys, self._watch(self._model.score_tiles(tiles, questions)), strict=True))

    def score_tiles(self, tiles: Sequence[np.ndarray], questions: Sequence[str]) -> Iterator[TileScores]:
        """Yield the scores of every tile, as `TileModel` does.

        Raises:
            StoppedError: nobody waits for the answer.
        """
        if self._known and all((_key(tile), tuple(questions)) in self._known for tile in tiles):
            return iter([self._known[_key(tile), tuple(questions)] for tile in tiles])
        return self._watch(self._model.score_tiles(tiles, questions))

    def _write(self, image: Image.Image, question: str) -> str:
        if self._stopped():
            raise StoppedError
        model: Any = self._model
        words: str = model.answer(image, question)
        return words

    def _watch(self, scores: Iterator[TileScores]) -> Iterator[TileScores]:
        while True:
            if self._stopped():
                raise StoppedError
            try:
                score = next(scores)
            except StopIteration:
                return
            yield score


def _key(tile: np.ndarray) -> bytes:
    return repr(tile.shape).encode() + tile.tobytes()


class Worker:
    """Answers the jobs of a queue with one model, in a thread of its own."""

    def __init__(self, model: TileModel, jobs: JobQueue, answer: Answer, measures: Measures) -> None:
        self._model, self._jobs, self._answer, self._measures = model, jobs, answer, measures
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait until the current jobs are answered, after the queue was closed."""
        self._thread.join(seconds)

    def _run(self) -> None:
        while groups := self._jobs.take():
            began = time.monotonic()
            try:
                self._answer_groups(groups)
            except BaseException as error:  # nothing ends the worker, or all later requests would wait for nobody
                for job in (job for group in groups for job in group):
                    job.fail(_told(error))
            self._jobs.note_seconds(time.monotonic() - began)

    def _answer_groups(self, groups: list[list[Job]]) -> None:
        everyone = [job for group in groups for job in group]
        watched = WatchedModel(self._model, lambda: all(job.stop.is_set() for job in everyone))
        with asking(self._model, groups[0][0].task):
            if len(groups) > 1:
                _try_ahead(watched, groups)
            for group in groups:
                try:
                    self._answer_group(watched, group)
                except BaseException as error:
                    for job in group:
                        job.fail(_told(error))

    def _answer_group(self, model: WatchedModel, group: list[Job]) -> None:
        began = time.monotonic()
        questions = list(dict.fromkeys(question for job in group for question in job.questions))
        with (
            _open_any(group) as (scene, path),
            self._answer(model, scene, path, questions, group[0].area, group[0].words) as (answers, preview),
        ):
            seconds = time.monotonic() - began
            self._measures.add_batch(len(questions), sum(len(job.questions) for job in group), seconds)
            by_question = dict(zip(questions, answers.answers, strict=True))
            for job in group:
                own = replace(answers, answers=tuple(by_question[question] for question in job.questions))
                job.finish(Outcome(job.keep(own, preview), seconds, began - job.arrived))


@contextmanager
def _open_any(group: list[Job]) -> Iterator[tuple[Scene, Path]]:
    """Open the picture of a group; the upload of a client that went away is no longer there, that of another is."""
    present = [job for job in group if job.path.is_file()]
    if not present:
        raise StoppedError
    with present[0].open_scene() as scene:
        yield scene, present[0].path


def _try_ahead(model: WatchedModel, groups: list[list[Job]]) -> None:
    """Score the tiles of small pictures at once; what fails here is left to each picture's own turn."""
    tiles = []
    for group in groups:
        try:
            with _open_any(group) as (scene, _):
                tiles.append(scene.read(scene.grid.whole, scene.grid.height, scene.grid.width).pixels)
        except (EarthReasonError, OSError):
            continue
    try:
        model.ask_ahead(tiles, groups[0][0].questions)
    except StoppedError:
        raise
    except Exception as error:
        logger.warning("pictures could not be answered together: %s", str(error).partition("\n")[0])


def _told(error: BaseException) -> BaseException:
    """Return the error to tell a client: input errors as they are, others as one line with an entry in the log."""
    if isinstance(error, (EarthReasonError, StoppedError)):
        return error
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _MEMORY_WORDS):
        logger.warning("out of memory: %s", str(error).partition("\n")[0])
        return RefusedError(503, "out of memory; choose a smaller picture, or a smaller area")
    logger.error("the model failed", exc_info=error)
    return RefusedError(500, "the model failed on this picture; the log of the server has the reason")
