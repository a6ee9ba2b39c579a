"""Keep the finished rows of tiles of a scene, in memory or in a folder from which a killed run goes on.

The folder holds `run.json` (what identifies the run), and for each row of tiles `strip-N.npz` (finished pixels),
`carry-N.raw` (sums of the pixels that the next row touches too, only of the last row) and `row-N.json`, which is
written last: a row without it is done again.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.files import atomic_path, visible_files, write_json
from earthreason.geo.blending import NO_DATA, Band, columns_at_once, marked, probabilities_of
from earthreason.geo.grid import GeoGrid, Window

CACHED = 128
"""Blocks of finished pixels that are kept when they are read from disk, 1 MB each: two rows at 100,000 columns."""
BLOCK_ROWS = 256
"""Rows of a block of finished pixels in a file."""


@dataclass(frozen=True)
class RowRecord:
    """What is known when a row of tiles is finished.

    Attributes:
        top: first row of its strip of finished pixels, counted from the top of the answered area.
        height: rows of the strip; it may be 0.
        carried: rows of the sums that the next row of tiles touches too.
        asked: tiles of the row that the model was asked about.
        no_target_scores: lowest no-target score per question; empty if no tile was asked.
        marked: marked pixels of the strip per question.
        known: pixels of the strip that have data in the area.
    """

    top: int
    height: int
    carried: int
    asked: int
    no_target_scores: list[float]
    marked: list[int]
    known: int


class Rows(Protocol):
    """Finished rows of tiles, with pixels packed as `blending.pack` makes them."""

    records: list[RowRecord]

    def restore(self, band: Band) -> None:
        """Read the sums of the last finished row, if there is one."""

    def write(self, top: int, height: int, blocks: Iterable[tuple[int, np.ndarray]]) -> None:
        """Keep the strip of the next row: first column and (Q, height, width) uint16 of each block."""

    def commit(self, record: RowRecord, band: Band | None = None) -> None:
        """Count a row as finished; `band`, if more rows follow, has already moved past its strip."""

    def packed(self, question: int, window: Window) -> np.ndarray:
        """Return (height, width) uint16 of a window of the answered area."""


@dataclass(frozen=True)
class PackedRaster:
    """The answer to one question, which `Rows` hold; an `AnswerRaster`."""

    grid: GeoGrid
    rows: Rows
    question: int
    silent: bool = False
    """Whether the answer is "no target", so that nothing is marked."""

    def mask(self, window: Window) -> np.ndarray:
        """Return (height, width) bool of a window, True on the target."""
        if self.silent:
            return np.zeros((window.height, window.width), bool)
        return marked(self.rows.packed(self.question, window))

    def probability(self, window: Window) -> np.ndarray:
        """Return (height, width) float32 of a window, in steps of 1/32,766; NaN where there is no data."""
        return probabilities_of(self.rows.packed(self.question, window))


class MemoryRows:
    """Rows kept in memory, for scenes of moderate size."""

    def __init__(self, questions: int, grid: GeoGrid) -> None:
        """Make room for the answers on `grid`."""
        self._pixels = np.empty((questions, grid.height, grid.width), np.uint16)
        self.records: list[RowRecord] = []

    def restore(self, band: Band) -> None:
        """Do nothing: a run in memory has no earlier part."""

    def write(self, top: int, height: int, blocks: Iterable[tuple[int, np.ndarray]]) -> None:
        """Keep the strip of the next row: first column and (Q, height, width) uint16 of each block."""
        for left, block in blocks:
            self._pixels[:, top : top + height, left : left + block.shape[2]] = block

    def commit(self, record: RowRecord, band: Band | None = None) -> None:
        """Count a row as finished."""
        self.records.append(record)

    def packed(self, question: int, window: Window) -> np.ndarray:
        """Return (height, width) uint16 of a window."""
        return self._pixels[question, window.top : window.bottom, window.left : window.right]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from the folder of a run, which is made if absent.

    Raises:
        EarthReasonError: another run works in it.
    """
    if folder.exists() and not folder.is_dir():
        yield  # `Journal` says what is wrong
        return
    place = None
    try:
        while place is None:
            folder.mkdir(parents=True, exist_ok=True)
            place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            _lock(place, folder)
            if not folder.exists() or folder.stat().st_ino != os.fstat(place).st_ino:
                os.close(place)  # the other run has just finished, and removed it
                place = None
        yield
    finally:
        if place is not None:
            os.close(place)


def _lock(place: int, folder: Path) -> None:
    import fcntl

    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise EarthReasonError(
            f"another run is working in {folder}; wait until it has finished, or choose another --out"
        ) from None
    except OSError:  # some network file systems have no locks
        return


class Journal:
    """Rows kept in a folder, from which a killed run goes on."""

    def __init__(self, folder: Path, identity: Mapping[str, Any], started: str) -> None:
        """Start or resume a run.

        Args:
            folder: folder of the run; made if absent.
            identity: what two runs must share to be joined, as JSON values.
            started: time of the start, kept in the folder: a resumed run states that of its first part.

        Raises:
            EarthReasonError: the folder holds an unfinished run with another identity, or is not of a run.
        """
        self.folder = folder
        path = folder / "run.json"
        facts = json.loads(json.dumps(dict(identity)))
        if not path.exists():
            if folder.exists() and (not folder.is_dir() or visible_files(folder, "*")):
                raise EarthReasonError(f"{folder} is not an unfinished run; move it away, or choose another --out")
            write_json(path, {"started": started, "identity": facts})
        before = _read_object(path)
        self.started, known = str(before.get("started")), before.get("identity")
        if not isinstance(known, dict):
            raise DataFormatError(f"{path}: not of a run; delete {folder} to start again")
        if known != facts:
            changed = sorted(key for key in {*known, *facts} if known.get(key) != facts.get(key))
            raise EarthReasonError(
                f"{folder} contains an unfinished run that differs in {', '.join(changed)}; finish it with its own "
                "settings, or delete the folder to start again"
            )
        self.records: list[RowRecord] = []
        while (row := self._row(len(self.records))).exists():
            try:
                self.records.append(RowRecord(**_read_object(row)))
            except TypeError:
                raise DataFormatError(f"{row}: damaged; delete {folder} to start again") from None
        self._block = lru_cache(maxsize=CACHED)(self._read_block)
        self._archive = lru_cache(maxsize=2)(lambda strip: zipfile.ZipFile(self._strip(strip)))

    def _row(self, number: int) -> Path:
        return self.folder / f"row-{number:06d}.json"

    def _strip(self, number: int) -> Path:
        return self.folder / f"strip-{number:06d}.npz"

    def _carry(self, number: int) -> Path:
        return self.folder / f"carry-{number:06d}.raw"

    def restore(self, band: Band) -> None:
        """Read the sums of the last finished row, if there is one.

        Raises:
            DataFormatError: they are missing or have another size.
        """
        if self.records:
            path = self._carry(len(self.records) - 1)
            if not path.is_file():
                raise DataFormatError(f"{path} is missing; delete {self.folder} to start again")
            band.load(path, self.records[-1].carried)

    def write(self, top: int, height: int, blocks: Iterable[tuple[int, np.ndarray]]) -> None:
        """Keep the strip of the next row: first column and (Q, height, width) uint16 of each block."""
        with (
            atomic_path(self._strip(len(self.records))) as path,
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        ):
            for left, block in blocks:
                for question, pixels in enumerate(block):
                    for first in range(0, height, BLOCK_ROWS):
                        part = pixels[first : first + BLOCK_ROWS]
                        # Most of many scenes has no data; one pixel stands for a block without any.
                        kept = part[:1, :1] if (part == NO_DATA).all() else part
                        with archive.open(_block_name(question, left, first), "w") as file:
                            np.lib.format.write_array(file, np.ascontiguousarray(kept))

    def commit(self, record: RowRecord, band: Band | None = None) -> None:
        """Count a row as finished; `band`, if more rows follow, has already moved past its strip."""
        number = len(self.records)
        if band is not None:
            with atomic_path(self._carry(number)) as path, path.open("wb") as file:
                band.save(file, record.carried)
        write_json(self._row(number), asdict(record))
        self.records.append(record)
        self._carry(number - 1).unlink(missing_ok=True)

    def packed(self, question: int, window: Window) -> np.ndarray:
        """Return (height, width) uint16 of a window."""
        found = np.empty((window.height, window.width), np.uint16)
        number = max(0, bisect_right([record.top for record in self.records], window.top) - 1)
        for strip in range(number, len(self.records)):
            record = self.records[strip]
            if record.top >= window.bottom:
                break
            top, bottom = max(record.top, window.top), min(record.top + record.height, window.bottom)
            if top >= bottom:
                continue
            columns = columns_at_once(len(record.marked))
            for start in range((top - record.top) // BLOCK_ROWS * BLOCK_ROWS, bottom - record.top, BLOCK_ROWS):
                upper = max(record.top + start, top)
                lower = min(record.top + start + BLOCK_ROWS, bottom)
                for first in range(window.left // columns * columns, window.right, columns):
                    block = self._block(strip, question, first, start)
                    left, right = max(first, window.left), min(first + columns, window.right)
                    part = found[upper - window.top : lower - window.top, left - window.left : right - window.left]
                    shift = record.top + start
                    part[:] = (
                        block if block.size == 1 else block[upper - shift : lower - shift, left - first : right - first]
                    )
        return found

    def _read_block(self, strip: int, question: int, left: int, top: int) -> np.ndarray:
        path = self._strip(strip)
        try:
            archive = self._archive(strip)
            with archive.open(_block_name(question, left, top)) as file:
                block: np.ndarray = np.lib.format.read_array(file)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise DataFormatError(f"{path}: damaged ({error}); delete {self.folder} to start again") from None
        return block

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder)


def _block_name(question: int, left: int, top: int) -> str:
    return f"{question}-{left}-{top}.npy"


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise DataFormatError(f"{path}: damaged; delete {path.parent} to start again")
    return value
