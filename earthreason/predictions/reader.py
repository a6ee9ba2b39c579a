"""Sources of predictions: files, which are read lazily, and lists in memory."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from earthreason.errors import DataNotFoundError, EarthReasonError, PredictionsError
from earthreason.masks.grids import Grid
from earthreason.predictions.fast import Decoded, read_fast
from earthreason.predictions.stream import mask_files, mask_predictions, text_predictions, text_values
from earthreason.predictions.writer import prediction_record
from earthreason.types import Prediction

SizeOf = Callable[[str], tuple[int, int] | None]
"""Function from a sample id to the (height, width) of its image in pixels, or None."""


class PredictionSource(Protocol):
    """Source of predictions.

    Attributes:
        source: name in messages.
        grid: grid of the masks: native, or the canvas of a protocol.
        info: metadata of the file (model, config, split, ...).
    """

    @property
    def source(self) -> str: ...
    @property
    def grid(self) -> Grid: ...
    @property
    def info(self) -> dict[str, Any]: ...

    def read(self, faults: list[str], size_of: SizeOf | None = None) -> Iterator[Prediction]:
        """Yield every valid prediction; append a line to `faults` for each invalid one.

        Args:
            faults: list to extend.
            size_of: function from a sample id to the (height, width) of its image, which polygons need; it returns
                None for unknown ids.
        """
        ...

    def fingerprint(self) -> str:
        """Return the SHA-256 of the content in hexadecimal."""
        ...


@dataclass(frozen=True)
class Predictions:
    """Valid predictions in memory."""

    source: str
    predictions: list[Prediction]
    grid: Grid = field(default_factory=lambda: Grid("native"))
    info: dict[str, Any] = field(default_factory=dict)

    def read(self, faults: list[str], size_of: SizeOf | None = None) -> Iterator[Prediction]:
        """Yield all predictions, in order."""
        yield from self.predictions

    def fingerprint(self) -> str:
        """Return the SHA-256 of the records as JSON."""
        digest = hashlib.sha256(self.grid.name.encode())
        for prediction in self.predictions:
            digest.update(json.dumps(prediction_record(prediction), sort_keys=True).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class PredictionsFile:
    """A predictions file, or a folder or zip of PNG masks. Every pass reads it again."""

    path: Path
    grid: Grid
    info: dict[str, Any]
    kept: list[Decoded] = field(default_factory=list, repr=False, compare=False)  # for the first pass and the hash

    @property
    def source(self) -> str:
        return str(self.path)

    def read(self, faults: list[str], size_of: SizeOf | None = None) -> Iterator[Prediction]:
        """Yield predictions in the order of the file; memory does not grow with the file."""
        if self.kept and (predictions := self.kept[0].take()) is not None:
            return iter(predictions)
        return mask_predictions(self.path, faults) if _holds_masks(self.path) else text_predictions(self.path, faults)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file, or of the names and contents of the files in a folder."""
        if self.kept:
            return self.kept[0].sha256
        if not self.path.is_dir():
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256()
        for name, read in mask_files(self.path):
            content = read()
            digest.update(f"{len(name)}:{name}{len(content)}:".encode())
            digest.update(content)
        return digest.hexdigest()


def _holds_masks(path: Path) -> bool:
    return path.is_dir() or zipfile.is_zipfile(path)


def open_predictions(path: Path | str) -> PredictionsFile:
    """Open a predictions file (JSON, JSONL, folder or zip of PNGs) and read up to its first prediction.

    Raises:
        DataNotFoundError: `path` does not exist.
        PredictionsError: the `info` is invalid, or the file has faults and no valid prediction.
    """
    path = Path(path)
    if not path.exists():
        raise DataNotFoundError(f"there is no predictions file {path}")
    decoded = read_fast(path)
    info: Any = decoded.info if decoded else {} if _holds_masks(path) else _read_info(path)
    if not isinstance(info, dict):
        raise PredictionsError(str(path), [f"info: expected an object, got {type(info).__name__}"])
    try:
        grid = Grid.parse(str(info.get("grid", "native")))
    except EarthReasonError as error:
        raise PredictionsError(str(path), [f"info.grid: {error}"]) from None
    if decoded:
        return PredictionsFile(path, grid, info, [decoded])
    opened = PredictionsFile(path, grid, info)
    faults: list[str] = []
    if next(opened.read(faults), None) is None and faults:
        raise PredictionsError(opened.source, faults)
    return opened


def _read_info(path: Path) -> Any:
    # The info is usually the first value; if it is the last one, the entire text is read.
    for place, value in text_values(path, [], whole=False):
        if place == "info":
            return value
        if place.startswith(("line", "[")):  # in JSONL and bare lists it is first or missing
            break
    return {}


def read_predictions(path: Path | str) -> Predictions:
    """Read a predictions file into memory.

    Raises:
        DataNotFoundError: `path` does not exist.
        PredictionsError: the file has faults; lists all of them.
    """
    file = open_predictions(path)
    faults: list[str] = []
    predictions = list(file.read(faults))
    if faults:
        raise PredictionsError(file.source, faults)
    return Predictions(file.source, predictions, file.grid, file.info)
