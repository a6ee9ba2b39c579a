"""Files that only their owner may read: the database of a board, its folder, and what processes write beside it."""

from __future__ import annotations

import os
from pathlib import Path

from leaderboard.logs import say

_SUFFIXES = ("", "-wal", "-shm", "-journal")


def keep_private(file: Path) -> None:
    """Make the files of a SQLite database readable by their owner only, before it is opened.

    SQLite gives the files that it adds the mode of the first one, so that one is created here. A missing folder is
    created; a folder that holds nothing else is closed to others too. Any other folder stays as it is, because it may
    be somebody's home or serve other programs.

    Raises:
        OSError: the folder or file cannot be created.
    """
    folder = file.absolute().parent
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
    created = not file.exists()
    if created:
        file.touch(mode=0o600)
    names = [f"{file.name}{suffix}" for suffix in _SUFFIXES]
    for path in (folder / name for name in names):
        _close(path, 0o600)
    if all(path.name in names for path in folder.iterdir()):
        _close(folder, 0o700)


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
