"""Lazy reading of predictions, so that memory does not grow with the size of the file."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, TextIO

from earthreason.predictions.fast import decode_lines
from earthreason.predictions.foreign import describe_other_keys
from earthreason.predictions.names import with_known_name
from earthreason.predictions.schema import read_record
from earthreason.predictions.segmentation import SizeOf
from earthreason.predictions.text_file import UnreadableTextError, open_text
from earthreason.strict_json import DECODER, RepeatedKeyError, refuse_constant
from earthreason.types import Prediction

MAX_VALUE_CHARACTERS = 64 << 20
"""Largest JSON value; ten times as long as a mask of a million runs."""
_CHUNK = 1 << 20
_SPACE = " \t\n\r"
"""White space of JSON (RFC 8259); `str.isspace` accepts more."""
_SPACES = re.compile(f"[{_SPACE}]*")
_LINES = (".jsonl", ".ndjson")
_EMPTY = "the file is empty; write it again, or [] for a list without entries"
_REMEDY = "write the file with json.dump"


@dataclass(frozen=True)
class Layout:
    """What a kind of JSON file holds, and its words in messages.

    Attributes:
        kind: what the file is.
        key: key of the list of entries, unless the file is the list.
        entry: what one entry is.
        entry_keys: keys by which an entry differs from the object around the list.
        outline: what the file must hold.
    """

    kind: str
    key: str
    entry: str
    entry_keys: Set[str]
    outline: str


_RECORD_KEYS = {"sample_id", "image_id", "segmentation", "question_index", "category_id", "bbox", "score", "answer"}
PREDICTIONS = Layout(
    "a predictions file",
    "predictions",
    "prediction",
    _RECORD_KEYS,
    'expected a list of predictions or {"info": {...}, "predictions": [...]}',
)
TRUTH = Layout(
    "ground truth",
    "samples",
    "sample",
    _RECORD_KEYS | {"height", "width", "ignore", "question_count"},
    'ground truth is {"samples": [{"sample_id", "segmentation"}, ...]}',
)
Located = tuple[str, Any]
"""Place in the file, such as `predictions[3]`, and decoded value, which is `Broken` if it has several meanings."""


@dataclass(frozen=True)
class Broken:
    """Value that is valid JSON but ambiguous."""

    fault: str


_UNREADABLE = object()
_LENIENT = json.JSONDecoder(parse_constant=refuse_constant)


def _decode(text: str, at: int) -> tuple[Any, int]:
    """Decode the value at `at`; return it, or `Broken` if a key is repeated, and where it ends."""
    try:
        return DECODER.raw_decode(text, at)
    except RepeatedKeyError as error:
        return Broken(str(error)), _LENIENT.raw_decode(text, at)[1]


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
            spaces = _SPACES.match(self._buffer, self._at)
            self._at = spaces.end() if spaces else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._read_more():
                return ""

    def start(self) -> str:
        """Return the next characters of the line, at most 30."""
        return self._buffer[self._at : self._at + 30].partition("\n")[0] if self.peek() else ""

    def accept(self, character: str) -> bool:
        """Skip `character` if it is next; return whether it is."""
        if self.peek() != character:
            return False
        self._at += 1
        return True

    def expect(self, character: str) -> None:
        if not self.accept(character):
            instead = repr(self.peek()) if self.peek() else "the end of the file"
            raise UnreadableTextError(f"line {self.line}: expected {character!r}, found {instead}; {_REMEDY}")

    def key(self) -> str:
        """Decode the next key of an object and skip its colon."""
        key = self.value()
        if not isinstance(key, str):
            raise UnreadableTextError(f"line {self.line}: a key is text in double quotes; {_REMEDY}")
        self.expect(":")
        return key

    @property
    def line(self) -> int:
        return self._lines_before + self._buffer.count("\n", 0, self._at) + 1

    def value(self) -> Any:
        """Decode the next value."""
        self.peek()
        while True:
            try:
                value, end = _decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                line = self._lines_before + error.lineno  # before `_read_more` changes both
                if len(self._buffer) - self._at > MAX_VALUE_CHARACTERS:
                    raise UnreadableTextError(
                        f"line {self.line}: one value is over {MAX_VALUE_CHARACTERS >> 20} MiB"
                    ) from None
                if not self._read_more():
                    raise UnreadableTextError(f"line {line}: {error.msg.lower()}; {_REMEDY}") from None
            except RecursionError:
                raise UnreadableTextError(f"line {self.line}: nested too deeply to be an entry; {_REMEDY}") from None
            except ValueError as error:  # NaN, or a number with thousands of digits
                raise UnreadableTextError(f"line {self.line}: {error}") from None
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


def json_values(file: TextIO, layout: Layout = PREDICTIONS) -> Iterator[Located]:
    """Yield `info` (place "info") and every entry of a JSON file, in the order of the file."""
    reader = _JsonReader(file)
    if reader.peek() == "[":
        yield from _elements(reader, "[{}]")
    elif reader.accept("{"):
        seen: set[str] = set()
        for _ in _items(reader, "}"):
            key = reader.key()
            if key in seen:
                raise UnreadableTextError(f"line {reader.line}: key {key[:60]!r} is written more than once; keep one")
            seen.add(key)
            if key == layout.key and reader.peek() == "[":
                yield from _elements(reader, f"{key}[{{}}]")
            elif key == layout.key:
                raise UnreadableTextError(f"line {reader.line}: {layout.outline}; {key!r} is not a list")
            elif key == "info":
                yield "info", reader.value()
            else:
                for part in _parts(reader):
                    if isinstance(part, Broken):
                        raise UnreadableTextError(f"line {reader.line}: in {key[:60]!r}: {part.fault}")
        if layout.key not in seen:
            what = describe_other_keys(seen)
            raise UnreadableTextError(f"{what}; {layout.outline}, but there is no list under {layout.key!r}")
    else:
        found = reader.start()
        raise UnreadableTextError(f"{layout.outline}, found {found!r}; {_REMEDY}" if found else _EMPTY)
    if reader.peek():
        raise UnreadableTextError(
            f"line {reader.line}: something follows the {layout.key}; a file holds one JSON value"
        )


def _parts(reader: _JsonReader) -> Iterator[Any]:
    """Read the next value, one element of a list at a time, so that a long list needs no memory."""
    if reader.peek() == "[":
        for _, value in _elements(reader, ""):
            yield value
    else:
        yield reader.value()


def jsonl_values(
    file: TextIO, faults: list[str], layout: Layout = PREDICTIONS, *, usual: bool = False
) -> Iterator[Located]:
    """Yield the values of a file with one JSON value per line; the first line may be `{"info": {...}}`.

    With `usual`, predictions that are exactly as documented are decoded to a `Prediction`, which is several times as
    fast.
    """
    first = True
    for block in _blocks_of_lines(file, layout):
        decoded = decode_lines([text for _, text in block]) if usual else None
        values: Iterable[Any] = repeat(None) if decoded is None else decoded
        for (number, text), value in zip(block, values, strict=False):
            if value is None and (value := _value_of_line(text, number, faults, layout)) is _UNREADABLE:
                first = False
                continue
            if first and isinstance(value, dict) and set(value) == {"info"}:
                yield "info", value["info"]
            else:
                yield f"line {number}", value
            first = False


def _value_of_line(text: str, number: int, faults: list[str], layout: Layout) -> Any:
    try:
        value, end = _decode(text, 0)
        if end < len(text):
            raise UnreadableTextError(f"something follows the value at character {end + 1}")
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        faults.append(f"line {number}: not JSON: {why}; each line holds one {layout.entry}")
        return _UNREADABLE
    return value


def _blocks_of_lines(file: TextIO, layout: Layout) -> Iterator[list[tuple[int, str]]]:
    """Yield the lines that are not blank with their numbers, in blocks; the first line is a block of its own."""
    block: list[tuple[int, str]] = []
    number, size, first = 0, _CHUNK, True
    while line := file.readline(MAX_VALUE_CHARACTERS):
        number += 1
        if len(line) == MAX_VALUE_CHARACTERS and not line.endswith("\n"):
            raise UnreadableTextError(f"line {number}: one value is over {MAX_VALUE_CHARACTERS >> 20} MiB")
        text = line.strip(_SPACE)
        if not text:
            continue
        if first and text in ("{", "["):
            raise UnreadableTextError(
                f"line {number} ends inside a value; each line holds one {layout.entry}, without indent"
            )
        first = False
        block.append((number, text))
        size += len(text)
        if size >= _CHUNK:
            yield block
            block, size = [], 0
    if block:
        yield block
    if first:
        raise UnreadableTextError(_EMPTY)


def _holds_lines(file: TextIO, named_lines: bool, layout: Layout) -> bool:
    """Return whether the file is JSON Lines, judged by its first keys, or by its name if they are inconclusive."""
    reader = _JsonReader(file)
    try:
        if not reader.accept("{"):
            return named_lines and reader.peek() != "["
        for _ in _items(reader, "}"):
            key = reader.key()
            if key == layout.key or key in layout.entry_keys:
                return key != layout.key
            for _ in _parts(reader):
                pass
            if key == "info" and reader.accept("}"):
                return True
    except ValueError:
        pass
    return named_lines


def text_values(
    path: Path, faults: list[str], layout: Layout = PREDICTIONS, *, usual: bool = False
) -> Iterator[Located]:
    """Yield the values of a JSON or JSONL file, packed by gzip or not, whatever its name.

    Faults that make the rest unreadable are appended to `faults`; `usual` is that of `jsonl_values`.
    """
    names_lines = path.with_suffix("").suffix if path.suffix.lower() == ".gz" else path.suffix
    try:
        with path.open("rb") as packed:
            lines = _holds_lines(open_text(packed), names_lines.lower() in _LINES, layout)
        with path.open("rb") as packed:
            file = open_text(packed)
            yield from jsonl_values(file, faults, layout, usual=usual) if lines else json_values(file, layout)
    except UnreadableTextError as error:
        faults.append(f"not {layout.kind}: {error}")
    except UnicodeDecodeError as error:
        faults.append(f"byte {error.object[error.start]:#04x} is not UTF-8; write the file as UTF-8 JSON")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        faults.append(f"a damaged gzip file ({error}); pack or copy the file again")
    except OSError as error:
        faults.append(f"cannot be read: {error.strerror or error}; check the file and its permissions")


def text_predictions(
    path: Path, faults: list[str], size_of: SizeOf | None = None, names: Mapping[str, str] | None = None
) -> Iterator[Prediction]:
    """Yield the predictions of a JSON or JSONL file; append the faults of invalid records to `faults`.

    Args:
        path: file to read.
        faults: list to extend.
        size_of: function from a sample id to the (height, width) of its image in pixels, which polygons need.
        names: sample ids by the ids of the file; None if they are the same.
    """
    for place, value in text_values(path, faults, usual=names is None):
        if place == "info":
            continue
        if isinstance(value, Broken):
            faults.append(f"{place}: {value.fault}")
            continue
        if isinstance(value, Prediction):
            yield with_known_name(value, size_of)
            continue
        prediction = read_record(value, place, size_of, names)
        if isinstance(prediction, Prediction):
            yield prediction
        else:
            faults.extend(prediction)
