"""Fast reading of small predictions files, and of lines, that are exactly as documented.

Anything unusual, valid or not, gives None, and the tolerant reader (`stream`) reads the file again and writes the
messages. tests/predictions/test_fast.py holds the two together: what is read here is what the tolerant reader gives.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Annotated, Any, TypedDict

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import astuple

from earthreason.masks.rle import MAX_SIDE
from earthreason.predictions.columns import PredictionColumns
from earthreason.predictions.schema import MAX_ANSWER, MAX_ID, MAX_QUESTION_INDEX
from earthreason.strict_json import strict_loads

MAX_BYTES = 64 << 20
_BLOCK, _QUOTE = 1 << 16, ord('"')
Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID)] | Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]


class MaskRecord(TypedDict):
    """RLE as JSON. msgspec ignores other keys, so `keys_are_unique` is needed too."""

    size: Annotated[list[Side], Meta(min_length=2, max_length=2)]
    counts: str


MASK_STRINGS = 3
"""Strings in a mask: two keys and the counts."""


class _Record(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    segmentation: MaskRecord | None
    sample_id: _Id | UnsetType = UNSET
    image_id: _Id | UnsetType = UNSET
    question_index: Annotated[int, Meta(ge=0, le=MAX_QUESTION_INDEX)] | UnsetType = UNSET
    score: float | UnsetType | None = UNSET
    answer: Annotated[str, Meta(max_length=MAX_ANSWER)] | UnsetType | None = UNSET
    category_id: int | UnsetType = UNSET  # COCO's; ignored, as by the tolerant reader


class _File(msgspec.Struct, forbid_unknown_fields=True):
    predictions: list[_Record]
    info: msgspec.Raw | UnsetType = UNSET


_LIST, _FILE = msgspec.json.Decoder(list[_Record]), msgspec.json.Decoder(_File)
_LINE = msgspec.json.Decoder(_Record)


@dataclass
class Decoded:
    """Content of a predictions file, and its SHA-256 in hexadecimal, which may still be computed."""

    info: Any
    predictions: PredictionColumns | None
    sha256: Future[str]

    def take(self) -> PredictionColumns | None:
        """Return the predictions once, so that they are not kept for longer; then None."""
        predictions, self.predictions = self.predictions, None
        return predictions


def read_fast(path: Path) -> Decoded | None:
    """Read a file once; None if it is not a small JSON file, exactly as documented."""
    try:
        status = path.stat()
        if path.suffix.lower() == ".jsonl" or not S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            return None
        content = path.read_bytes()
    except OSError:
        return None
    pool = ThreadPoolExecutor(1)  # hashing releases the interpreter lock
    digest = pool.submit(_hash, content)
    pool.shutdown(wait=False)
    decoded = decode_fast(content)
    return None if decoded is None else Decoded(*decoded, digest)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def decode_fast(content: bytes) -> tuple[Any, PredictionColumns] | None:
    """Decode the info and the predictions; None if the content is not exactly as documented."""
    content = content.removeprefix(codecs.BOM_UTF8)
    info: Any = {}
    marks = 0
    try:
        if content[:1] == b"[":
            records = _LIST.decode(content)
        else:
            document = _FILE.decode(content)
            records, marks = document.predictions, 2
            if document.info is not UNSET:
                raw = bytes(document.info)
                info, marks = strict_loads(raw), 4 + raw.count(b'"')
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    predictions = _columns_of(records, content, marks)
    return None if predictions is None else (info, predictions)


def decode_lines(lines: Sequence[str]) -> PredictionColumns | None:
    """Decode one prediction a line, without white space around; None if any line is not exactly as documented."""
    if not all(line.startswith("{") and line.endswith("}") for line in lines):
        return None
    try:
        content = "\n".join(lines).encode()
        records = _LINE.decode_lines(content)
    except (ValueError, RecursionError):
        return None
    # msgspec takes any white space between values and within them. But no value continues after } with {.
    return _columns_of(records, content, 0) if len(records) == len(lines) else None


def _columns_of(records: list[_Record], content: bytes, marks: int) -> PredictionColumns | None:
    """Make the columns of records; None if they name no sample, or if `content` has keys that they lack.

    Args:
        records: decoded records.
        content: JSON that they were decoded from.
        marks: quotation marks in it that belong to none of them.
    """
    columns = transpose(records, _Record)
    names, strings = _names_of(columns)
    if names is None:
        return None
    masks, answers = columns["segmentation"], columns["answer"]
    strings += len(masks) + MASK_STRINGS * (len(masks) - masks.count(None))
    strings += sum(map(count_given, (columns[key] for key in ("question_index", "score", "answer", "category_id"))))
    texts = [answer for answer in answers if isinstance(answer, str)]
    quotes = sum(text.count('"') for text in texts)
    if quotes and b"\\u0022" in content:  # a quotation mark without one
        return None
    if not keys_are_unique(content, marks + quotes + 2 * (strings + len(texts))):
        return None
    indices = [0 if index is UNSET else index for index in columns["question_index"]]
    return PredictionColumns(names, masks, indices, or_none(columns["score"]), or_none(answers))


def _names_of(columns: dict[str, list[Any]]) -> tuple[list[str] | None, int]:
    """Return the sample ids and how many strings state them; None if a record has no id, or two."""
    given, foreign = columns["sample_id"], columns["image_id"]
    if count_given(foreign):
        if any((name is UNSET) == (other is UNSET) for name, other in zip(given, foreign, strict=True)):
            return None, 0
        given = [other if name is UNSET else name for name, other in zip(given, foreign, strict=True)]
    elif UNSET in given:
        return None, 0
    names = list(map(str, given))
    return names, len(names) + sum(isinstance(name, str) for name in given)


def transpose(records: Sequence[msgspec.Struct], kind: type[msgspec.Struct]) -> dict[str, list[Any]]:
    """Return the fields of structs of one kind as columns, by name."""
    names = kind.__struct_fields__
    columns = zip(*map(astuple, records), strict=True) if records else ((),) * len(names)
    return dict(zip(names, map(list, columns), strict=True))


def count_given(column: list[Any]) -> int:
    """Count the records that have a key."""
    return len(column) - column.count(UNSET)


def or_none(column: list[Any]) -> list[Any]:
    """Replace the values of missing keys by None."""
    return [None if value is UNSET else value for value in column]


def keys_are_unique(content: bytes, marks: int) -> bool:
    """Return whether `content` has `marks` quotation marks, so that no key was ignored or given twice.

    Args:
        content: JSON.
        marks: quotation marks of the keys and strings that were decoded.
    """
    view = np.frombuffer(content, np.uint8)
    blocks = range(0, view.size, _BLOCK)
    return marks == sum(int(np.count_nonzero(view[at : at + _BLOCK] == _QUOTE)) for at in blocks)
