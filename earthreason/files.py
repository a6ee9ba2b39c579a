"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from earthreason.errors import EarthReasonError


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target`; rename it over `target` when the block ends well, else delete it.

    Works for a file or for a whole folder. A folder replaces `target` only if `target` is absent or an empty folder.

    Raises:
        FileExistsError: `target` is a folder that is not empty and a folder was written.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    temporary = scratch / target.name
    try:
        yield temporary
        if temporary.is_dir() and target.is_dir():
            if any(target.iterdir()):
                raise FileExistsError(f"{target} is not empty")
            target.rmdir()
        temporary.replace(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: Path, value: Any, indent: int | None = 2) -> None:
    """Write JSON atomically; NaN and infinity are refused because they are not JSON."""
    write_text(target, json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n")


def end_last_line(path: Path) -> None:
    """End a line that a crash has cut, so that what is appended is not glued to it."""
    if path.exists() and path.stat().st_size:
        with path.open("rb+") as file:
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")


def refuse_taken(folder: Path) -> None:
    """Say early that a folder which is to be written whole is there already.

    Raises:
        EarthReasonError: it is a file, or holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise EarthReasonError(f"{folder} is there already and not an empty folder; name another or remove it")
