"""Append lines of JSON to a file so that a crash loses none of the earlier ones."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

_BLOCK = 1 << 16


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Append lines to a JSON Lines file and wait until the disk has them; call it under a lock.

    A last line that a crash cut off is removed first. If writing fails, such as on a full disk, the file is left as it
    was.

    Args:
        path: file in UTF-8; created if absent.
        lines: JSON values, each with its newline.
    """
    content = "".join(lines).encode()
    with path.open("r+b" if path.exists() else "x+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        whole = _end_of_lines(file, end)
        if whole < end and _is_json(file, whole):
            whole, content = end, b"\n" + content  # complete, and only its newline is missing
        file.truncate(whole)
        file.seek(whole)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except BaseException:
            file.truncate(whole)
            raise


def _end_of_lines(file: BinaryIO, end: int) -> int:
    """Return the size in bytes of the lines that have a newline."""
    while end:
        start = max(0, end - _BLOCK)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _is_json(file: BinaryIO, start: int) -> bool:
    file.seek(start)
    try:
        json.loads(file.read())
    except ValueError:
        return False
    return True
