"""The data folder that a predictions file remembers, so that `earthreason-eval FILE` finds the data again."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from earthreason.errors import DataNotFoundError

KEY = "data_dir"
_HEAD = '{"info": '
_GZIP = b"\x1f\x8b"


def remembered(data_dir: Path | None, out: Path) -> dict[str, str]:
    """Return the entry of `info` for a data folder: its path from the folder of the predictions file.

    So both may move together, and the path says nothing of the folders above them. None gives no entry.
    """
    if data_dir is None:
        return {}
    try:
        return {KEY: Path(os.path.relpath(data_dir.expanduser().resolve(), out.resolve().parent)).as_posix()}
    except ValueError:  # another drive of Windows
        return {KEY: data_dir.expanduser().resolve().as_posix()}


def find_folder(info: Mapping[str, Any], path: Path) -> Path | None:
    """Return the data folder that the `info` of a predictions file remembers; None if it remembers none.

    Args:
        info: metadata of the file.
        path: the file.

    Raises:
        DataNotFoundError: the folder is not there.
    """
    value = info.get(KEY)
    if not isinstance(value, str) or not value:
        return None
    folder = Path(os.path.normpath(path.resolve().parent / value))
    if not folder.exists():
        raise DataNotFoundError(f"{path} was made from data in {folder}, which is not there; give its --data-dir")
    try:
        return Path(os.path.relpath(folder))
    except ValueError:
        return folder


def moved(info: Mapping[str, Any], path: Path, out: Path) -> dict[str, Any]:
    """Return the `info` of a file for a file elsewhere: with the data folder as its path from there.

    Args:
        info: metadata of the file.
        path: the file.
        out: file to write.
    """
    value = info.get(KEY)
    if not isinstance(value, str) or not value:
        return dict(info)
    return {**info, **remembered(path.resolve().parent / value, out)}


@contextmanager
def without_folder(path: Path, info: Mapping[str, Any]) -> Iterator[Path]:
    """Provide a predictions file that does not say where its data was, to give away: `path` itself, or a copy.

    Args:
        path: predictions file, or a folder of masks.
        info: metadata of the file.
    """
    if KEY not in info or not path.is_file():
        yield path
        return
    held = path.read_bytes()
    packed = held.startswith(_GZIP)  # as the reader does, whatever the name says
    content = _strip((gzip.decompress(held) if packed else held).decode("utf-8-sig")).encode()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(gzip.compress(content, mtime=0) if packed else content)
        yield copy


def _strip(text: str) -> str:
    if text.startswith(_HEAD):  # as this package writes it; what follows can be large and stays as it is
        info, end = json.JSONDecoder().raw_decode(text, len(_HEAD))
        return _HEAD + json.dumps(_without(info), ensure_ascii=False) + text[end:]
    first, newline, rest = text.lstrip().partition("\n")
    try:
        content, lines = json.loads(text), ""
    except ValueError:  # JSON Lines
        content, lines = json.loads(first), newline + rest
    return json.dumps({**content, "info": _without(content["info"])}, ensure_ascii=False) + lines


def _without(info: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in info.items() if key != KEY}
