"""Sources of predictions: files, which are read lazily, and lists in memory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR
from typing import Any, Protocol

from earthreason.errors import EarthReasonError, PredictionsError
from earthreason.files import path_of
from earthreason.masks.grids import Grid
from earthreason.predictions.fast import Decoded, read_fast
from earthreason.predictions.foreign import check_usable
from earthreason.predictions.instances import Instances, check_reading, merge_instances
from earthreason.predictions.members import Notes, holds_masks, mask_files, mask_predictions
from earthreason.predictions.names import with_known_names
from earthreason.predictions.segmentation import SizeOf as SizeOf
from earthreason.predictions.stream import Broken, text_predictions, text_values
from earthreason.predictions.writer import prediction_record
from earthreason.types import Prediction

_INFO = 'write {"model": "NAME"}, or leave info out'
_NOMINAL_SIZE = (8192, 8192)


_State = tuple[int, int, int]


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

    def read(self, faults: list[str], size_of: SizeOf | None = None) -> Iterable[Prediction]:
        """Return every valid prediction; append a line to `faults` for each invalid one, at the latest while iterated.

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
    """Valid predictions in memory; `instances` is the treatment of several masks for one question."""

    source: str
    predictions: list[Prediction]
    grid: Grid = field(default_factory=lambda: Grid("native"))
    info: dict[str, Any] = field(default_factory=dict)
    instances: Instances = "error"

    def read(self, faults: list[str], size_of: SizeOf | None = None) -> Iterable[Prediction]:
        """Return all predictions, in order."""
        predictions = with_known_names(self.predictions, size_of)
        return merge_instances(predictions, faults) if self.instances == "union" else predictions

    def fingerprint(self) -> str:
        """Return the SHA-256 of the records as JSON."""
        digest = hashlib.sha256(self.grid.name.encode())
        for prediction in self.predictions:
            digest.update(json.dumps(prediction_record(prediction), sort_keys=True).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class PredictionsFile:
    """A predictions file, or a folder or zip of masks, as it was when `open_predictions` opened it.

    The first pass over a small JSON file takes what was decoded then; every other pass reads the file again, and raises
    `PredictionsError` if it was changed in between.

    Attributes:
        path: file or folder.
        grid: grid of the masks.
        info: metadata of the file.
        instances: treatment of several masks for one question, such as the instances of COCO.
        names: sample ids by the ids of the file; None if they are the same.
    """

    path: Path
    grid: Grid
    info: dict[str, Any]
    instances: Instances = "error"
    names: Mapping[str, str] | None = None
    _notes: Notes = field(default_factory=Notes, repr=False, compare=False)
    _decoded: Decoded | None = field(default=None, repr=False, compare=False)  # for the first pass and the hash
    _state: _State | None = field(default=None, repr=False, compare=False)

    @property
    def source(self) -> str:
        return str(self.path)

    def read(self, faults: list[str], size_of: SizeOf | None = None) -> Iterable[Prediction]:
        """Return predictions in the order of the file.

        Memory grows with the file only for small JSON files and to unite instances.
        """
        self._check_unchanged()
        sizes = None if size_of is None else _on_grid(self.grid, size_of)
        if self._decoded and (decoded := self._decoded.take()) is not None:
            usual = all(map(str.isascii, decoded.sample_ids))
            predictions: Iterable[Prediction] = decoded if usual else with_known_names(decoded, sizes)
        elif holds_masks(self.path):
            predictions = mask_predictions(self.path, faults, sizes, self._notes)
        else:
            predictions = text_predictions(self.path, faults, sizes, self.names)
        return merge_instances(predictions, faults) if self.instances == "union" else predictions

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file, or of the names and contents of the files in a folder."""
        if self._decoded:
            self._check_unchanged()
            return self._decoded.sha256.result()
        if not self.path.is_dir():
            with self.path.open("rb") as file:
                digits = hashlib.file_digest(file, "sha256").hexdigest()
            self._check_unchanged()
            return digits
        digest = hashlib.sha256()
        for name, read in mask_files(self.path):
            content = read()
            digest.update(f"{len(name)}:{name}{len(content)}:".encode())
            digest.update(content)
        return digest.hexdigest()

    def _check_unchanged(self) -> None:
        if self._state is not None and self._state != _state_of(self.path):
            raise PredictionsError(self.source, ["it was changed since it was opened; open it again"])


def _state_of(path: Path) -> _State | None:
    """Return modification time, size and number of a file, which change with its content; None for a folder."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return None if S_ISDIR(status.st_mode) else (status.st_mtime_ns, status.st_size, status.st_ino)


def _on_grid(grid: Grid, size_of: SizeOf) -> SizeOf:
    def size_on_grid(sample_id: str) -> tuple[int, int] | None:
        size = size_of(sample_id)
        return None if size is None else grid.shape(*size)

    return size_on_grid


def open_predictions(
    path: str | os.PathLike[str], instances: Instances = "error", names: Mapping[str, str] | None = None
) -> PredictionsFile:
    """Open predictions: decode a small JSON file, and read anything else up to the first prediction.

    Args:
        path: JSON or JSON Lines, packed by gzip or not, or a folder, zip or `.npz` of masks.
        instances: treatment of several masks for one question: `error` refuses them, `union` merges them.
        names: sample ids by the ids of the file, such as COCO's numbers; None if they are the same.

    Raises:
        DataNotFoundError: `path` does not exist.
        PredictionsError: the `info` is invalid, or the file has faults and no valid prediction.
        EarthReasonError: `path` is no path, `instances` no rule or `names` no mapping.
    """
    path = path_of(path, "predictions")
    check_reading(instances, names)
    check_usable(path, "predictions file", PredictionsError)
    state = _state_of(path)
    decoded = None if names is not None else read_fast(path)
    masks = decoded is None and holds_masks(path)
    info: Any = decoded.info if decoded else {} if masks else _read_info(path)
    if isinstance(info, Broken):
        raise PredictionsError(str(path), [f"info: {info.fault}"])
    if not isinstance(info, dict):
        found = "null" if info is None else type(info).__name__
        raise PredictionsError(str(path), [f"info: expected an object, got {found}; {_INFO}"])
    try:
        json.dumps(info, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise PredictionsError(str(path), ["info: a text or number in it cannot be written as UTF-8 JSON"]) from None
    try:
        grid = Grid.parse(str(info.get("grid", "native")))
    except EarthReasonError as error:
        raise PredictionsError(str(path), [f"info.grid: {error}"]) from None
    opened = PredictionsFile(path, grid, info, instances, names, _decoded=decoded, _state=state)
    if decoded:
        return opened
    faults: list[str] = []
    if masks:
        first = next(mask_predictions(path, faults), None)
    else:  # polygons are drawn at a size that checks them
        first = next(text_predictions(path, faults, lambda _: _NOMINAL_SIZE, names), None)
    if first is None and faults:
        raise PredictionsError(opened.source, faults)
    return opened


def _read_info(path: Path) -> Any:
    # The info is usually the first value; if it is the last one, the entire text is read.
    for place, value in text_values(path, []):
        if place == "info":
            return value
        if place.startswith(("line", "[")):  # in JSONL and bare lists it is first or missing
            break
    return {}


def read_predictions(path: str | os.PathLike[str]) -> Predictions:
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
