"""Files that only their owner may read: the database of a board, its folder, and what processes write beside it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from earthreason.errors import EarthReasonError

from .logs import say

SUFFIXES = ("", "-wal", "-shm", "-journal")
"""Endings of the files of a SQLite database."""
_MAGIC = b"SQLite format 3\0"  # https://www.sqlite.org/fileformat.html
_OWN_TABLES = {"alembic_version", "teams"}


def keep_private(file: Path) -> None:
    """Make the files of a SQLite database readable by their owner only, before it is opened.

    SQLite gives the files that it adds the mode of the first one, so that one is created here. A missing folder is
    created; a folder that holds nothing else is closed to others too. Any other folder stays as it is, because it may
    be somebody's home or serve other programs. Nothing is done to a file that is not a board.

    Raises:
        EarthReasonError: there is something else at this path.
        OSError: the folder or file cannot be created.
    """
    _check_board(file)
    folder = file.absolute().parent
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
    created = not file.exists()
    if created:
        file.touch(mode=0o600)
    names = [f"{file.name}{suffix}" for suffix in SUFFIXES]
    for path in (folder / name for name in names):
        _close(path, 0o600)
    if all(path.name in names for path in folder.iterdir()):
        _close(folder, 0o700)


def _check_board(file: Path) -> None:
    """Check that a file is a board's, or is still to become one: that it is missing or empty.

    Raises:
        EarthReasonError: it is something else.
    """
    if not file.exists():
        return
    if not file.is_file():
        raise EarthReasonError(f"DATABASE_URL: {file} is not a file; name the file of the board")
    with file.open("rb") as opened:
        head = opened.read(len(_MAGIC))
    if head and head != _MAGIC:
        raise EarthReasonError(f"DATABASE_URL: {file} is not a SQLite database; name another file")
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error:  # damaged, locked or on a read-only disk, which opening it reports
        return
    if tables and not tables >= _OWN_TABLES:
        raise EarthReasonError(f"DATABASE_URL: {file} is a database of another program; name another file")


def _close(path: Path, mode: int) -> None:
    """Take the rights of others away, where the path is ours."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    if status.st_mode & 0o077 == 0:
        return
    try:
        path.chmod(mode)
    except OSError as error:
        say("others may read the database", path=str(path), reason=error.strerror)


def write_privately() -> None:
    """Let this process create files and folders that only its owner can read."""
    os.umask(0o077)
