"""Write files atomically, so that a reader never sees a partial one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from earthreason.errors import DataFormatError, EarthReasonError, show_value


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it to `target` if the block succeeds, else delete it.

    The path may become a file or a folder. A folder replaces `target` only if `target` is absent or an empty folder.

    Raises:
        FileExistsError: `target` is a folder that is not empty and a folder was written.
        IsADirectoryError: `target` is a folder and a file was written.
        OSError: `target` is a device or a pipe, such as /dev/null, which a file would replace; or nothing can be
            written beside it. The error names `target`.
    """
    given, target = str(target), Path(target)
    if target.exists() and not (target.is_file() or target.is_dir()):
        raise OSError(errno.EINVAL, "is a device or a pipe; give the name of a file", given)
    if target.name in ("", ".."):  # `.` has no name for the temporary path
        target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:  # nobody asked for the temporary name
        raise OSError(error.errno, error.strerror, given) from None
    temporary = scratch / target.name
    try:
        yield temporary
        if target.is_dir():
            if not temporary.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a folder; give the name of a file", given)
            if any(target.iterdir()):
                raise FileExistsError(errno.EEXIST, "already exists and is not empty; choose another folder", given)
            target.rmdir()
        temporary.replace(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def private_path(target: Path) -> Iterator[Path]:
    """Yield a path as `atomic_path` does, with an empty file there that only its owner can read and write."""
    with atomic_path(target) as temporary:
        temporary.touch(mode=0o600)
        yield temporary


def remove_unfinished(target: Path) -> None:
    """Remove what killed processes left beside a folder that `atomic_path` writes; call it under the folder's lock."""
    for path in target.parent.glob(f".{target.name}.*"):
        shutil.rmtree(path, ignore_errors=True)


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: Path, value: Any, indent: int | None = 2) -> None:
    """Write JSON atomically; NaN and infinity raise ValueError because they are not JSON."""
    write_text(target, json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n")


def end_last_line(path: Path) -> None:
    """Add a newline after a partial last line, so that the next line is not appended to it."""
    if path.exists() and path.stat().st_size:
        with path.open("rb+") as file:
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")


def refuse_folder(file: Path) -> None:
    """Check before long work that a file to be written is not a folder.

    Raises:
        EarthReasonError: the path is a folder.
    """
    if file.is_dir():
        raise EarthReasonError(f"{file} is a folder; give the name of a file")


def refuse_taken(folder: Path) -> None:
    """Check before long work that a folder to be written is absent or empty.

    Raises:
        EarthReasonError: the path is a file, or a folder with content.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise EarthReasonError(f"{folder} already exists and is not an empty folder; choose another or remove it")


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, without its byte order mark.

    Raises:
        DataFormatError: it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataFormatError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None


def text_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file in UTF-8 with their ends, without its byte order mark.

    Raises:
        DataFormatError: it is not UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from file
    except UnicodeDecodeError as error:  # its place counts from a block of the file
        raise DataFormatError(f"{path}: not UTF-8 text ({error.reason})") from None


def refuse_existing(path: Path) -> None:
    """Check before a file is written that there is none.

    Raises:
        EarthReasonError: the path exists.
    """
    if path.exists():
        raise EarthReasonError(f"{path} already exists; choose another name or remove it")


def fingerprint_files(root: Path, paths: Iterable[Path]) -> str:
    """Hash paths, sizes and times of files below `root` to 12 hexadecimal digits.

    The hash changes when a file is added, removed, resized or rewritten.
    """
    digest = hashlib.sha256(str(root.resolve()).encode())
    for path in sorted(paths):
        digest.update(f"{file_stamp(path, root)}\n".encode())
    return digest.hexdigest()[:12]


def file_stamp(path: Path, root: Path) -> str:
    """Return path below `root`, size in bytes and modification time in nanoseconds, joined by colons."""
    status = path.stat()
    return f"{path.relative_to(root).as_posix()}:{status.st_size}:{status.st_mtime_ns}"


def is_system_name(name: str) -> bool:
    """Return whether a name is hidden, or is of a file or folder that operating systems leave behind."""
    return name.startswith(".") or name == "__MACOSX" or name.lower() in ("thumbs.db", "desktop.ini", "ehthumbs.db")


def visible_files(folder: Path, pattern: str) -> list[Path]:
    """List the files below a folder by a glob pattern, sorted, without those that operating systems leave behind."""
    depth = len(folder.parts)
    found = (path for path in folder.glob(pattern) if not any(map(is_system_name, path.parts[depth:])))
    return sorted((path for path in found if path.is_file()), key=lambda path: path.parts)  # comparing paths takes long


def path_of(value: Any, what: str) -> Path:
    """Return a path that a user gave. An empty text is an error, because pathlib takes it as the working folder.

    Raises:
        EarthReasonError: the value is neither a text nor a path of text; `what` names it.
    """
    text = value.__fspath__() if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or text == "" or "\0" in text:
        raise EarthReasonError(
            f"{what}: {show_value(text)} ({type(text).__name__}) is not the path of a file or folder"
        )
    return Path(text)
