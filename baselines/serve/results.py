"""Answers that are kept for a while, on disk, below ids that nobody can guess."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earthreason.geo.answers import ArrayRaster, SceneAnswer, SceneAnswers
from earthreason.geo.grid import GeoGrid, Window
from earthreason.plurals import count_of

from .scratch import make_folder, remove_abandoned
from .settings import RefusedError

_STRIP = 4 << 20
"""Pixels that are copied to disk at once."""
_HALF = np.float32(0.5)


@dataclass(frozen=True)
class KeptAnswer:
    """What is kept of an answer besides its probabilities."""

    question: str
    no_target_score: float
    has_target: bool
    text: str | None


@dataclass(frozen=True)
class Result:
    """Answers about one picture.

    Attributes:
        id: random name.
        name: name of the picture, from which downloads are named.
        folder: folder of the probabilities.
        grid: grid of all answers.
        answers: what is kept of each answer.
        facts: metadata for files.
        made: when it was made, in monotonic seconds.
        size: bytes on disk.
    """

    id: str
    name: str
    folder: Path
    grid: GeoGrid
    answers: tuple[KeptAnswer, ...]
    facts: dict[str, str]
    made: float
    size: int

    def probability(self, number: int) -> np.ndarray:
        """Return (height, width) float32 of an answer, read from disk as it is used; NaN where there is no data.

        Raises:
            RefusedError: there is no such answer, or the result was removed meanwhile.
        """
        if not 0 <= number < len(self.answers):
            raise RefusedError(404, f"the result has no answer {number}; it has {len(self.answers)}, from 0")
        return self._load(f"{number}.npy")

    def preview(self) -> np.ndarray:
        """Return the picture, (height, width, 3) uint8, at most the size of the grid."""
        return self._load("preview.npy")

    def marked(self, number: int, threshold: float) -> np.ndarray:
        """Return (height, width) bool: pixels whose probability exceeds a threshold; none of "no target"."""
        probability = self.probability(number)
        if not self.answers[number].has_target:
            return np.zeros(probability.shape, bool)
        return probability > threshold

    def answer(self, number: int, threshold: float) -> SceneAnswers:
        """Return an answer at a threshold, for writing.

        Raises:
            RefusedError: see `probability`.
        """
        marked = self.marked(number, threshold)
        kept = self.answers[number]
        raster = ArrayRaster(self.grid, marked, self.probability(number))
        answer = SceneAnswer(kept.question, kept.no_target_score, bool(marked.any()), raster, kept.text)
        return SceneAnswers(self.grid, (answer,), {**self.facts, "threshold": f"{threshold:g}"})

    def _load(self, file: str) -> np.ndarray:
        try:
            loaded: np.ndarray = np.load(self.folder / file, mmap_mode="r")
        except FileNotFoundError:
            raise _gone() from None
        return loaded


class Results:
    """The results of the last minutes, within a number of bytes."""

    def __init__(self, folder: Path, keep_seconds: float, most_bytes: int) -> None:
        remove_abandoned(folder)
        self.folder, self._held = make_folder(folder)
        self._keep, self._most = keep_seconds, most_bytes
        self._kept: OrderedDict[str, Result] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, answers: SceneAnswers, preview: np.ndarray, name: str) -> Result:
        """Keep answers; the oldest results make room.

        Raises:
            RefusedError: they are too large to be kept, or the disk is full.
        """
        grid = answers.grid
        size = 4 * grid.height * grid.width * len(answers.answers) + preview.nbytes
        if size > self._most:
            line = (
                f"{count_of(len(answers.answers), 'answer')} of {grid.width} x {grid.height} px: too large to be kept"
            )
            raise RefusedError(413, f"{line}; ask fewer questions at once, or choose a smaller area")
        self._remove_old(size)
        identity = secrets.token_urlsafe(16)
        folder = self.folder / identity
        folder.mkdir()
        try:
            for number, answer in enumerate(answers.answers):
                _write(folder / f"{number}.npy", grid, answer)
            np.save(folder / "preview.npy", preview)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise RefusedError(503, f"the server cannot keep the answers: {error.strerror}") from None
            raise
        kept = tuple(KeptAnswer(a.question, a.no_target_score, a.has_target, a.text) for a in answers.answers)
        result = Result(identity, name, folder, grid, kept, dict(answers.facts), time.monotonic(), size)
        with self._lock:
            self._kept[identity] = result
        return result

    def get(self, identity: str) -> Result:
        """Return a kept result.

        Raises:
            RefusedError: it has expired, or never was.
        """
        self._remove_old()
        with self._lock:
            result = self._kept.get(identity)
        if result is None:
            raise _gone()
        return result

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._held.release()

    def _remove_old(self, room: int = 0) -> None:
        with self._lock:
            removed = list(self._outdated(room))
        for result in removed:
            shutil.rmtree(result.folder, ignore_errors=True)

    def _outdated(self, room: int) -> Iterator[Result]:
        total = room + sum(result.size for result in self._kept.values())
        while self._kept:
            oldest = next(iter(self._kept.values()))
            if oldest.made + self._keep > time.monotonic() and total <= self._most:
                return
            total -= oldest.size
            yield self._kept.pop(oldest.id)


def _gone() -> RefusedError:
    return RefusedError(404, "there is no such result; results are kept for a while only: ask again")


def _write(path: Path, grid: GeoGrid, answer: SceneAnswer) -> None:
    """Write probabilities strip by strip, so that an answer on disk stays on disk.

    Rounded ones beside 0.5 are put on the side of the mask, which then is what exceeds 0.5.
    """
    kept = np.lib.format.open_memmap(path, "w+", np.float32, (grid.height, grid.width))
    rows = max(1, _STRIP // grid.width)
    for top in range(0, grid.height, rows):
        window = Window(0, top, grid.width, min(rows, grid.height - top))
        probability = answer.raster.probability(window).copy()
        if answer.has_target:
            marked = answer.raster.mask(window)
            probability[marked & (probability <= _HALF)] = np.nextafter(_HALF, np.float32(1))
            probability[~marked & (probability > _HALF)] = _HALF
        kept[window.top : window.bottom] = probability
    kept.flush()
