"""Registration of export formats, and what several of them need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from earthreason.data.about import About
from earthreason.data.schema import PICTURES, TARGETS, Record
from earthreason.data.sources import Source
from earthreason.errors import EarthReasonError
from earthreason.types import OPTIONAL_FACTS

Write = Callable[[Source, Path, About], None]
"""Function that writes samples to a folder that does not exist yet."""
WRITERS: dict[str, Write] = {}
"""Registered formats by name."""


def register(name: str) -> Callable[[Write], Write]:
    """Return a decorator that adds a function to `WRITERS`.

    Raises:
        ValueError: the name is taken.
    """

    def add(write: Write) -> Write:
        if name in WRITERS:
            raise ValueError(f"there is an export format {name!r} already")
        WRITERS[name] = write
        return write

    return add


def facts_of(record: Record) -> dict[str, Any]:
    """Return all columns except the pictures, in the order of the parquet files."""
    columns = {column: value for column, value in vars(record).items() if column not in (*PICTURES, TARGETS)}
    facts, extra = {fact: columns.pop(fact) for fact in OPTIONAL_FACTS}, columns.pop("extra")
    return {**columns, **facts, "extra": extra}


def suffix_of(record: Record) -> str:
    """Return `jpg` or `png`, judged by the first bytes of the picture."""
    return "png" if record.image[:4] == b"\x89PNG" else "jpg"


def file_stem(sample_id: str) -> str:
    """Return the sample id for use as a file name.

    Raises:
        EarthReasonError: the id is not a valid file name on every operating system.
    """
    unsafe = set('/\\:*?"<>|') & set(sample_id) or not sample_id.isprintable()
    if unsafe or sample_id[:1] in ("", ".") or sample_id[-1:] in (" ", ".") or len(sample_id.encode()) > 200:
        raise EarthReasonError(
            f"sample id {sample_id!r} is not a valid file name; export as parquet, coco or webdataset instead"
        )
    return sample_id
