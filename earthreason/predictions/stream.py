"""Lazy reading of predictions, so that memory does not grow with the size of the file."""

from __future__ import annotations

import codecs
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TextIO

import numpy as np
from PIL import Image
from pydantic import ValidationError
from pydantic_core import from_json

from earthreason.errors import PredictionsError, describe_faults
from earthreason.masks.record import MASK_REMEDIES
from earthreason.masks.rle import encode_mask
from earthreason.predictions.schema import PredictionRecord
from earthreason.types import Prediction

MAX_MEMBER_BYTES = 256 << 20
MAX_VALUE_CHARACTERS = 64 << 20
"""Largest JSON value; ten times as long as a mask of a million runs."""
_CHUNK = 1 << 20
_NOT_READABLE = (OSError, SyntaxError, ValueError, RuntimeError, zipfile.BadZipFile, Image.DecompressionBombError)
_PNG_NAME = re.compile(r"(?P<sample_id>.+?)(?:__(?P<question_index>\d{1,5}))?\.png", re.IGNORECASE)
_SHAPE = 'a list of predictions or {"info": {...}, "predictions": [...]}'

Located = tuple[str, Any]
"""Place in the file, such as `predictions[3]`, and decoded value."""


class _NotJSONError(ValueError):
    """The text is not JSON from this place on, so the rest cannot be read."""


def _refuse_constant(name: str) -> NoReturn:
    raise _NotJSONError(f"{name} is not JSON; write null or leave the key out")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


class _JsonReader:
    """Reader of values from a JSON text, in chunks."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._buffer, self._at, self._lines_before = "", 0, 0
        self._ended = False

    def _read_more(self) -> bool:
        """Drop the text that was read and append at least as much as remains; return False at the end of the file."""
        if self._ended:
            return False
        self._lines_before += self._buffer.count("\n", 0, self._at)
        rest = self._buffer[self._at :]
        more = self._file.read(max(_CHUNK, len(rest)))
        self._buffer, self._at, self._ended = rest + more, 0, not more
        return bool(more)

    def peek(self) -> str:
        """Return the next character that is not white space; an empty string at the end."""
        while True:
            while self._at < len(self._buffer):
                if not self._buffer[self._at].isspace():
                    return self._buffer[self._at]
                self._at += 1
            if not self._read_more():
                return ""

    def accept(self, character: str) -> bool:
        """Skip `character` if it is next; return whether it is."""
        if self.peek() != character:
            return False
        self._at += 1
        return True

    def expect(self, character: str) -> None:
        if not self.accept(character):
            instead = repr(self.peek()) if self.peek() else "the end of the file"
            raise _NotJSONError(f"line {self.line}: expected {character!r}, found {instead}")

    @property
    def line(self) -> int:
        return self._lines_before + self._buffer.count("\n", 0, self._at) + 1

    def value(self) -> Any:
        """Decode the next value."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                line = self._lines_before + error.lineno  # before `_read_more` changes both
                if len(self._buffer) - self._at > MAX_VALUE_CHARACTERS:
                    raise _NotJSONError(
                        f"line {self.line}: one value is over {MAX_VALUE_CHARACTERS >> 20} MiB"
                    ) from None
                if not self._read_more():
                    raise _NotJSONError(f"line {line}: {error.msg.lower()}") from None
            except RecursionError:
                raise _NotJSONError(f"line {self.line}: nested too deeply to be a prediction") from None
            except ValueError as error:  # NaN, or a number with thousands of digits
                raise _NotJSONError(f"line {self.line}: {error}") from None
            else:
                # A number may continue in the next chunk if the buffer ends in it, or in its `.`, `e` or `e-`.
                if end + 2 < len(self._buffer) or self._ended:
                    self._at = end
                    return value
                self._read_more()


def _items(reader: _JsonReader, end: str) -> Iterator[int]:
    """Yield the index of every item up to `end`, past the commas; the caller reads the item."""
    index = 0
    while not reader.accept(end):
        if index:
            reader.expect(",")
        yield index
        index += 1


def _elements(reader: _JsonReader, place: str) -> Iterator[Located]:
    reader.expect("[")
    for index in _items(reader, "]"):
        yield place.format(index), reader.value()


def json_values(file: TextIO) -> Iterator[Located]:
    """Yield `info` (place "info") and every prediction of a JSON file, in the order of the file."""
    reader = _JsonReader(file)
    if reader.peek() == "[":
        yield from _elements(reader, "[{}]")
    elif reader.accept("{"):
        any_read = False
        for _ in _items(reader, "}"):
            key = reader.value()
            reader.expect(":")
            if key == "predictions" and reader.peek() == "[":
                any_read = True
                yield from _elements(reader, "predictions[{}]")
            elif key == "info":
                yield "info", reader.value()
            else:
                reader.value()
        if not any_read:
            raise _NotJSONError(f"expected {_SHAPE}; there is no list under 'predictions'")
    else:
        raise _NotJSONError(f"expected {_SHAPE}, found {reader.peek()!r}" if reader.peek() else "the file is empty")
    if reader.peek():
        raise _NotJSONError(f"line {reader.line}: something follows the predictions; a file holds one JSON value")


def small_json_values(content: bytes) -> list[Located] | None:
    """Decode a complete text, twice as fast as `json_values`; return None if it is not a predictions file."""
    try:
        document = from_json(content.removeprefix(codecs.BOM_UTF8), allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        return None
    if isinstance(document, dict) and isinstance(document.get("predictions"), list):
        info = [("info", document["info"])] if "info" in document else []
        return info + [(f"predictions[{n}]", value) for n, value in enumerate(document["predictions"])]
    if isinstance(document, list):
        return [(f"[{n}]", value) for n, value in enumerate(document)]
    return None


def jsonl_values(file: TextIO, faults: list[str]) -> Iterator[Located]:
    """Yield the values of a file with one JSON value per line; the first line may be `{"info": {...}}`."""
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            value = from_json(line, allow_inf_nan=False, cache_strings="keys")
        except ValueError:
            value = None
        try:
            value = json.loads(line, parse_constant=_refuse_constant) if value is None else value
        except (ValueError, RecursionError) as error:
            faults.append(f"line {number}: not JSON: {error}")
            continue
        if number == 1 and isinstance(value, dict) and set(value) == {"info"}:
            yield "info", value["info"]
        else:
            yield f"line {number}", value


def text_values(path: Path, faults: list[str], whole: bool = True) -> Iterator[Located]:
    """Yield the values of a JSON or JSONL file; append the faults that make the rest unreadable to `faults`.

    With `whole`, a small JSON file is decoded at once.
    """
    try:
        if whole and path.suffix.lower() != ".jsonl" and path.stat().st_size <= MAX_VALUE_CHARACTERS:
            values = small_json_values(path.read_bytes())
            if values is not None:
                yield from values
                return
        with path.open(encoding="utf-8-sig") as file:
            yield from jsonl_values(file, faults) if path.suffix.lower() == ".jsonl" else json_values(file)
    except _NotJSONError as error:
        faults.append(f"not a predictions file: {error}")
    except UnicodeDecodeError as error:
        faults.append(f"byte {error.object[error.start]:#04x} is not UTF-8; write the file as UTF-8 JSON")


def text_predictions(path: Path, faults: list[str]) -> Iterator[Prediction]:
    """Yield the predictions of a JSON or JSONL file; append the faults of invalid records to `faults`."""
    for place, value in text_values(path, faults):
        if place == "info":
            continue
        try:
            yield PredictionRecord.model_validate(value).to_prediction()
        except ValidationError as error:
            faults.extend(describe_faults(error, place, MASK_REMEDIES))


def mask_files(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield names and readers of the files of a folder or zip. Nothing is extracted, so no member can write outside."""
    if path.is_dir():
        for file in sorted(path.iterdir()):
            if not file.name.startswith("."):
                yield file.name, file.read_bytes
        return
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = Path(member.filename).name
            if member.is_dir() or name.startswith(".") or "__MACOSX" in member.filename:
                continue
            yield name, partial(_read_member, archive, member)


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.file_size > MAX_MEMBER_BYTES:
        raise ValueError(f"unpacks to over {MAX_MEMBER_BYTES >> 20} MiB")
    return archive.read(member)


def mask_predictions(path: Path, faults: list[str]) -> Iterator[Prediction]:
    """Yield the predictions of a folder or zip of PNG masks; append the faults of other files to `faults`."""
    any_read = False
    try:
        for name, read in mask_files(path):
            any_read = True
            match = _PNG_NAME.fullmatch(name)
            if match is None:
                faults.append(f"{name}: expected SAMPLE_ID.png or SAMPLE_ID__QUESTION_INDEX.png")
                continue
            try:
                mask = decode_png(read())
            except _NOT_READABLE as error:
                faults.append(f"{name}: not a readable PNG mask: {error}")
                continue
            yield Prediction(match["sample_id"], encode_mask(mask), question_index=int(match["question_index"] or 0))
    except zipfile.BadZipFile as error:
        raise PredictionsError(str(path), [f"a broken zip: {error}"]) from None
    if not any_read:
        faults.append("contains no PNG masks")


def decode_png(content: bytes) -> np.ndarray:
    """Decode a PNG with one channel: (height, width) bool, True where a pixel is not 0."""
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        if image.mode not in ("1", "L", "I", "I;16", "P"):
            raise ValueError(f"mode {image.mode}; a mask has one channel (mode 1 or L)")
        return np.asarray(image) != 0
