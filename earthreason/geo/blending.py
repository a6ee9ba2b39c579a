"""Blend the logits of overlapping tiles at a bounded memory, from the top of a scene to its bottom."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

import numpy as np

from earthreason.errors import DataFormatError

COLUMNS = 2048
"""Columns that are finished at once, for few questions."""
MOST_BYTES = 512 << 20
"""Size in memory above which the sums are kept on disk."""
LEVELS = 32766
"""Steps of a stored probability."""
NO_DATA = 65535
"""Stored value of a pixel without data or outside the area."""


def columns_at_once(questions: int) -> int:
    """Return how many columns are finished at once: fewer for many questions, so that the memory stays bounded."""
    return max(128, COLUMNS * 8 // max(8, questions))


def blend_window(height: int, width: int) -> np.ndarray:
    """Return weights (height, width) float32 that fall towards the border and never reach 0."""
    down, across = (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + 1) / (n + 1)) for n in (height, width))
    return (down[:, None] * across[None, :] + 1e-3).astype(np.float32)


def pack(logits: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Return uint16 of logits: the probability in 15 bits, and whether it is above the threshold in the last bit.

    The mask is decided by the logits, not by the rounded probability. NaN becomes `NO_DATA`.
    """
    cut = -math.inf if threshold <= 0 else math.inf if threshold >= 1 else math.log(threshold / (1 - threshold))
    unknown = np.isnan(logits)
    if unknown.all():
        return np.full(logits.shape, NO_DATA, np.uint16)
    values = np.asarray(logits, np.float32)
    probabilities = np.float32(0.5) * values  # in place from here on: memory is what this takes
    np.tanh(probabilities, out=probabilities)
    probabilities *= np.float32(0.5)
    probabilities += np.float32(0.5)
    probabilities *= np.float32(LEVELS)
    np.rint(probabilities, out=probabilities)
    probabilities[unknown] = 0
    packed = probabilities.astype(np.uint16)
    packed <<= 1
    packed |= values > np.float32(cut)
    packed[unknown] = NO_DATA
    return packed


def marked(packed: np.ndarray) -> np.ndarray:
    """Return the mask, bool, of packed pixels."""
    marks: np.ndarray = (packed & 1).astype(bool)
    marks &= packed != NO_DATA
    return marks


def probabilities_of(packed: np.ndarray) -> np.ndarray:
    """Return the probabilities, float32, of packed pixels; NaN where there is no data."""
    values = (packed >> 1).astype(np.float32)
    values /= np.float32(LEVELS)
    values[packed == NO_DATA] = np.nan
    return values


class Band:
    """Sums of weighted logits of Q questions, and of the weights, over some rows of a scene.

    A tile is added by `add`; the rows that no further tile touches leave by `finish` and `move`. Tiles are added in
    their order, so the sums of a pixel do not depend on what else the band holds.
    """

    def __init__(self, questions: int, rows: int, columns: int, folder: Path, most: int = MOST_BYTES) -> None:
        """Start with zeros.

        Args:
            questions: number of questions, Q.
            rows: rows of a tile.
            columns: columns of the scene.
            folder: folder for a file of the sums, used if they exceed `most`; the file is removed by `close`.
            most: bytes in memory.

        Raises:
            OSError: the disk has no room for the file.
        """
        self.shape = (questions + 1, rows, columns)  # the weights come last
        self._stack = ExitStack()
        self._path: Path | None = None
        size = 4 * math.prod(self.shape)
        if size <= most:
            self._sums = np.zeros(self.shape, np.float32)
            return
        self._path = folder / "sums.raw"
        self._stack.callback(self._path.unlink, missing_ok=True)
        with self._path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)  # so that a full disk is told here, not by a signal later

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file, if there is one."""
        self._stack.close()

    def _open(self) -> np.ndarray:
        if self._path is None:
            return self._sums
        # Mapped anew for every use: what is mapped counts as memory of the process.
        return np.memmap(self._path, np.float32, "r+", shape=self.shape)

    def add(self, top: int, left: int, logits: np.ndarray, weights: np.ndarray) -> None:
        """Add a tile.

        Args:
            top: row of the band of its first row.
            left: column of the band of its first column.
            logits: (Q, height, width) float32.
            weights: (height, width) float32, 0 where the tile has no data.
        """
        rows, columns = weights.shape
        part = self._open()[:, top : top + rows, left : left + columns]
        for total, values in zip(part, logits, strict=False):
            total += values * weights
        part[-1] += weights

    def finish(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the first column and the blended logits, (Q, rows, some columns) float32, of the first rows.

        Pixels that no tile has data for are NaN. The columns are `columns_at_once`.
        """
        columns = columns_at_once(self.shape[0] - 1)
        for left in range(0, self.shape[2], columns):
            part = self._open()[:, :rows, left : left + columns]
            weights = np.array(part[-1])
            weights[weights == 0] = np.nan
            yield left, np.asarray(part[:-1] / weights)

    def move(self, rows: int) -> None:
        """Drop the first rows; zeros follow the last."""
        kept = self.shape[1] - rows
        columns = columns_at_once(self.shape[0] - 1)
        for left in range(0, self.shape[2], columns):
            part = self._open()[:, :, left : left + columns]
            part[:, :kept] = np.array(part[:, rows:])
            part[:, kept:] = 0

    def save(self, file: IO[bytes], rows: int) -> None:
        """Write the first rows."""
        for number in range(self.shape[0]):
            for row in range(rows):
                file.write(np.ascontiguousarray(self._open()[number, row]).data)

    def load(self, path: Path, rows: int) -> None:
        """Read the first rows as `save` wrote them.

        Raises:
            DataFormatError: the file has another size.
        """
        expected = 4 * self.shape[0] * rows * self.shape[2]
        if path.stat().st_size != expected:
            raise DataFormatError(f"{path}: damaged; delete {path.parent} to start again")
        with path.open("rb") as file:
            for number in range(self.shape[0]):
                for row in range(rows):
                    self._open()[number, row] = np.frombuffer(file.read(4 * self.shape[2]), np.float32)
