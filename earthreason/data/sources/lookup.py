"""Find the index files of published sets by their first entry, and read texts and ids of their entries."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from earthreason.data.texts import parse_json
from earthreason.errors import DataFormatError
from earthreason.files import visible_files

_BEGINNING = 1 << 20
_DEPTH = 3
_FEW = 50
"""An index is among few JSON files in its folder; a folder with more has one per image."""


def starts_with(path: Path, keys: Collection[str], without: Collection[str] = ()) -> bool:
    """Return whether a JSON file holds an object that has all of some keys and none of others, or a list of such.

    Only the beginning of the file is read, and one such object is enough, because others may be broken.
    """
    decoder = json.JSONDecoder()
    try:
        with path.open("rb") as file:
            text = file.read(_BEGINNING).decode("utf-8-sig", "replace").lstrip().removeprefix("[").lstrip()
        while text:
            entry, end = decoder.raw_decode(text)
            if isinstance(entry, dict) and set(keys) <= entry.keys() and not set(without) & entry.keys():
                return True
            text = text[end:].lstrip().removeprefix(",").lstrip()
    except (OSError, ValueError, RecursionError):
        pass
    return False


def any_starts_with(folder: Path, pattern: str, keys: Collection[str]) -> bool:
    """Return whether one of the first JSON files of a folder, by a glob pattern, holds an object with all the keys."""
    return any(starts_with(path, keys) for path in visible_files(folder, pattern)[:_FEW])


def first_line(path: Path) -> bytes:
    """Return the first line with text of a file, without a byte order mark; empty if there is none."""
    with path.open("rb") as file:
        line = next((line for line in file if line.removeprefix(codecs.BOM_UTF8).strip()), b"")
    return line.removeprefix(codecs.BOM_UTF8)


def folders_below(root: Path, depth: int = _DEPTH) -> Iterator[tuple[Path, list[str]]]:
    """Yield a folder and its subfolders down to a depth, outer ones first, with the names of their files in order."""
    for path, folders, files in os.walk(root, followlinks=True):
        folder = Path(path)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        if len(folder.relative_to(root).parts) >= depth:
            folders.clear()
        yield folder, sorted(files)


def index_files(root: Path) -> Iterator[Path]:
    """Yield the JSON files below a folder that may be an index."""
    for folder, names in folders_below(root):
        files = [name for name in names if name.lower().endswith(".json") and not name.startswith(".")]
        if len(files) <= _FEW:
            yield from (folder / name for name in files)


def read_index(path: Path, what: str) -> list[Any]:
    """Read a JSON file that holds a list. Half of a surrogate pair in one sample does not refuse the others here.

    Raises:
        DataFormatError: it does not.
    """
    entries = parse_json(path.read_bytes(), path, western=True, halves=True)
    if not isinstance(entries, list):
        raise DataFormatError(f"{path}: {what} is a JSON list of samples, not a {type(entries).__name__}")
    return entries


def text_of(entry: Any, key: str, place: str) -> str:
    """Return a text of an entry, or a number as text.

    Raises:
        DataFormatError: the entry is no object, or has no such text.
    """
    value = entry.get(key) if isinstance(entry, dict) else None
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        found = "nothing" if value is None or value == "" else type(value).__name__
        raise DataFormatError(f"{place}: {key!r} is a text, found {found}", f"no {key}")
    if any("\ud800" <= letter <= "\udfff" for letter in str(value)):
        raise DataFormatError(f"{place}: {key!r} has half a character that UTF-8 cannot encode", f"broken {key}")
    return str(value)


def texts_of(entry: Any, key: str, place: str) -> list[str]:
    """Return the texts of an entry; one text may stand without a list.

    Raises:
        DataFormatError: the entry has no such texts, or one is no text.
    """
    values = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(values, list):
        return [text_of(entry, key, place)]
    texts = [text_of({key: value}, key, place) for value in values]
    if not texts:
        raise DataFormatError(f"{place}: {key!r} is an empty list", f"no {key}")
    return texts


def unique_ids(ids: Iterable[str]) -> list[str]:
    """Return the ids in order; the second of two equal ones ends with `#2`, so that both samples are kept."""
    seen: set[str] = set()
    unique = []
    for sample_id in ids:
        number, candidate = 1, sample_id
        while candidate in seen:
            number += 1
            candidate = f"{sample_id}#{number}"
        seen.add(candidate)
        unique.append(candidate)
    return unique
