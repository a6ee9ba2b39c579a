"""Fast reading of small predictions files that are exactly as documented.

Anything unusual, valid or not, gives None, and the tolerant reader (`stream`) reads the file again and writes the
messages. tests/predictions/test_fast.py holds the two together: what is read here is what the tolerant reader gives.
"""

from __future__ import annotations

import codecs
import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from earthreason.masks.rle import MAX_SIDE
from earthreason.predictions.schema import MAX_ANSWER, MAX_ID, MAX_QUESTION_INDEX
from earthreason.strict_json import strict_loads
from earthreason.types import Prediction

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


@dataclass
class Decoded:
    """Content of a predictions file, and its SHA-256 in hexadecimal, which may still be computed."""

    info: Any
    predictions: list[Prediction] | None
    sha256: Future[str]

    def take(self) -> list[Prediction] | None:
        """Return the predictions once, so that they are not kept for longer; then None."""
        predictions, self.predictions = self.predictions, None
        return predictions


def read_fast(path: Path) -> Decoded | None:
    """Read a file once; None if it is not a small JSON file, exactly as documented."""
    try:
        if path.suffix.lower() == ".jsonl" or not path.is_file() or path.stat().st_size > MAX_BYTES:
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


def decode_fast(content: bytes) -> tuple[Any, list[Prediction]] | None:
    """Decode the info and the predictions; None if the content is not exactly as documented."""
    content = content.removeprefix(codecs.BOM_UTF8)
    info: Any = {}
    marks, quoting = 0, False
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
    strings = 0
    predictions = []
    for record in records:
        name, mask = record.sample_id, record.segmentation
        strings += 3 if mask is None else 3 + MASK_STRINGS
        if name is UNSET:
            name = record.image_id
        elif record.image_id is not UNSET:
            return None
        if name.__class__ is not str:
            if name is UNSET:
                return None
            strings, name = strings - 1, str(name)
        index, score, answer = record.question_index, record.score, record.answer
        strings += (index is not UNSET) + (score is not UNSET) + (record.category_id is not UNSET)
        if answer is not UNSET:
            strings += 1
            if answer is not None:
                strings, inner = strings + 1, answer.count('"')
                marks, quoting = marks + inner, quoting or inner > 0
        predictions.append(
            Prediction(
                name,
                mask,
                0 if index is UNSET else index,
                None if score is UNSET else score,
                None if answer is UNSET else answer,
            )
        )
    unusual = quoting and b"\\u0022" in content  # a quotation mark without one
    return None if unusual or not keys_are_unique(content, marks + 2 * strings) else (info, predictions)


def keys_are_unique(content: bytes, marks: int) -> bool:
    """Return whether `content` has `marks` quotation marks, so that no key was ignored or given twice.

    Args:
        content: JSON.
        marks: quotation marks of the keys and strings that were decoded.
    """
    view = np.frombuffer(content, np.uint8)
    blocks = range(0, view.size, _BLOCK)
    return marks == sum(int(np.count_nonzero(view[at : at + _BLOCK] == _QUOTE)) for at in blocks)
