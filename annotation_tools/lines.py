"""Read and write JSON Lines files, and append to them so that a crash loses none of the earlier lines."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from earthreason.errors import DataFormatError
from earthreason.files import text_lines, write_text

T = TypeVar("T")
_BLOCK = 1 << 16


def read_rows(
    path: Path, make: Callable[[Any], T], holding: Sequence[str] | None = None, *, appended: bool = False
) -> Iterator[T]:
    """Yield what the lines of a file hold; nothing if there is no such file.

    Args:
        path: file in UTF-8.
        make: turns the JSON value of a line into the object.
        holding: texts of which a line must hold one, to save parsing the others; None for all lines.
        appended: whether the file is appended to, so that a crash may have cut off its last line, which is left out.

    Raises:
        DataFormatError: a line is not such an object; the message names it.
    """
    if not path.is_file():
        return
    # str.splitlines would also split at U+2028 and U+0085 inside a text.
    for number, line in enumerate(text_lines(path), start=1):
        if holding is not None and not any(text in line for text in holding):
            continue
        try:
            made = make(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            if appended and not line.endswith("\n"):
                return
            raise DataFormatError(f"{path} line {number}: not written by annotation_tools ({error})") from None
        yield made


def row_line(row: dict[str, Any]) -> str:
    """Return a row as a line."""
    return json.dumps(row, ensure_ascii=False) + "\n"


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as lines, replacing the file atomically."""
    write_text(path, "".join(map(row_line, rows)))


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
