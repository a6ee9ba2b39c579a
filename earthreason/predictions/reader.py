"""Read a predictions file: JSON, JSONL, or a folder or zip of PNG masks."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from PIL import Image
from pydantic import ValidationError

from earthreason.errors import DataNotFoundError, EarthReasonError, PredictionsError
from earthreason.masks.grids import Grid
from earthreason.masks.rle import encode_mask
from earthreason.predictions.schema import PredictionRecord, describe_faults
from earthreason.types import Prediction

_PNG_NAME = re.compile(r"(?P<sample_id>.+?)(?:__(?P<question_index>\d{1,5}))?\.png", re.IGNORECASE)
MAX_MEMBER_BYTES = 256 << 20


@dataclass(frozen=True)
class Predictions:
    """All predictions of one file.

    Attributes:
        source: the file, for messages.
        predictions: in the order of the file.
        grid: the grid the masks are on; native unless the file's `info.grid` says otherwise.
        info: what the file says of itself (model, date, ...).
    """

    source: str
    predictions: list[Prediction]
    grid: Grid = field(default_factory=lambda: Grid("native"))
    info: dict[str, Any] = field(default_factory=dict)


def read_predictions(path: Path) -> Predictions:
    """Read and check a predictions file.

    Raises:
        DataNotFoundError: there is nothing at `path`.
        PredictionsError: the file is not a predictions file; all its faults together.
    """
    path = Path(path)
    if path.is_dir():
        return _read_masks(path, [(p.name, p.read_bytes) for p in sorted(path.iterdir()) if not p.name.startswith(".")])
    if not path.exists():
        raise DataNotFoundError(f"there is no predictions file {path}")
    if zipfile.is_zipfile(path):
        return _read_zip(path)
    text = _read_text(path)
    return _read_lines(path, text) if path.suffix.lower() == ".jsonl" else _read_json(path, text)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PredictionsError(str(path), [f"byte {error.start} is not UTF-8; write the file as UTF-8 JSON"]) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON; write null or leave the key out")


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply to be a predictions file") from None


def _read_json(path: Path, text: str) -> Predictions:
    try:
        content = _parse_json(text)
    except ValueError as error:
        raise PredictionsError(str(path), [f"not JSON: {error}"]) from None
    if isinstance(content, list):
        records, info, place = content, dict[str, Any](), "[{}]"
    elif isinstance(content, dict) and isinstance(content.get("predictions"), list):
        records, info, place = content["predictions"], content.get("info") or {}, "predictions[{}]"
    else:
        expected = 'a list of predictions or {"info": {...}, "predictions": [...]}'
        raise PredictionsError(str(path), [f"expected {expected}, got {type(content).__name__}"])
    if not isinstance(info, dict):
        raise PredictionsError(str(path), [f"info: expected an object, got {type(info).__name__}"])
    places = ((place.format(index), record) for index, record in enumerate(records))
    return _collect(path, places, info)


def _read_lines(path: Path, text: str) -> Predictions:
    info: dict[str, Any] = {}
    faults: list[str] = []

    def records() -> Iterator[tuple[str, Any]]:
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                record = _parse_json(line)
            except ValueError as error:
                faults.append(f"line {number}: not JSON: {error}")
                continue
            if isinstance(record, dict) and set(record) == {"info"} and isinstance(record["info"], dict):
                info.update(record["info"])
            else:
                yield f"line {number}", record

    return _collect(path, records(), info, faults)


def _collect(
    path: Path, records: Iterator[tuple[str, Any]], info: dict[str, Any], faults: list[str] | None = None
) -> Predictions:
    faults = [] if faults is None else faults
    predictions = []
    for place, record in records:
        try:
            predictions.append(PredictionRecord.model_validate(record).to_prediction())
        except ValidationError as error:
            faults.extend(describe_faults(place, error))
    grid = Grid("native")
    try:
        grid = Grid.parse(str(info.get("grid", "native")))
    except EarthReasonError as error:
        faults.append(f"info.grid: {error}")
    if faults:
        raise PredictionsError(str(path), faults)
    return Predictions(source=str(path), predictions=predictions, grid=grid, info=info)


def _read_zip(path: Path) -> Predictions:
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if not m.is_dir() and not _is_clutter(m.filename)]
        large = [m for m in members if m.file_size > MAX_MEMBER_BYTES]
        if large:
            limit = MAX_MEMBER_BYTES >> 20
            raise PredictionsError(str(path), [f"{m.filename}: unpacks to over {limit} MiB" for m in large])

        def reader(member: zipfile.ZipInfo) -> Callable[[], bytes]:
            return lambda: archive.read(member)

        # Only base names are used and nothing is extracted, so no member can write outside.
        return _read_masks(path, [(Path(m.filename).name, reader(m)) for m in members])


def _is_clutter(name: str) -> bool:
    return "__MACOSX" in name or Path(name).name.startswith(".")


def _read_masks(path: Path, files: list[tuple[str, Callable[[], bytes]]]) -> Predictions:
    predictions, faults = [], []
    for name, read in files:
        match = _PNG_NAME.fullmatch(name)
        if match is None:
            faults.append(f"{name}: expected SAMPLE_ID.png or SAMPLE_ID__QUESTION_INDEX.png")
            continue
        try:
            mask = _decode_png(read())
        except (OSError, SyntaxError, ValueError, zipfile.BadZipFile, Image.DecompressionBombError) as error:
            faults.append(f"{name}: not a readable PNG mask: {error}")
            continue
        predictions.append(
            Prediction(match["sample_id"], encode_mask(mask), question_index=int(match["question_index"] or 0))
        )
    if not files:
        faults.append("holds no PNG masks")
    if faults:
        raise PredictionsError(str(path), faults)
    return Predictions(source=str(path), predictions=predictions)


def _decode_png(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        if image.mode not in ("1", "L", "I", "I;16", "P"):
            raise ValueError(f"mode {image.mode}; a mask has one channel (mode 1 or L)")
        return np.asarray(image) != 0
