"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
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
        IsADirectoryError: `target` is a folder and a file was written.
    """
    given, target = str(target), Path(target)
    if target.name in ("", ".."):  # `.` has no name to put a temporary one beside
        target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    temporary = scratch / target.name
    try:
        yield temporary
        if target.is_dir():
            if not temporary.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a folder; name a file", given)
            if any(target.iterdir()):
                raise FileExistsError(errno.EEXIST, "is there already and not empty; name another folder", given)
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


def refuse_folder(file: Path) -> None:
    """Say early that the name of a file which is to be written is a folder's.

    Raises:
        EarthReasonError: it is.
    """
    if file.is_dir():
        raise EarthReasonError(f"{file} is a folder; name a file")


def refuse_taken(folder: Path) -> None:
    """Say early that a folder which is to be written whole is there already.

    Raises:
        EarthReasonError: it is a file, or holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise EarthReasonError(f"{folder} is there already and not an empty folder; name another or remove it")


def fingerprint_files(root: Path, paths: Iterable[Path]) -> str:
    """Hash where files below `root` lie, their sizes and times: 12 hexadecimal digits.

    They change when a file is added, removed, resized or rewritten.
    """
    digest = hashlib.sha256(str(root.resolve()).encode())
    for path in sorted(paths):
        digest.update(f"{file_stamp(path, root)}\n".encode())
    return digest.hexdigest()[:12]


def file_stamp(path: Path, root: Path) -> str:
    """Path below `root`, size in bytes, and time of the last change in nanoseconds."""
    status = path.stat()
    return f"{path.relative_to(root).as_posix()}:{status.st_size}:{status.st_mtime_ns}"
