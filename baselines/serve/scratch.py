"""The server's folder on disk: one for each process, removed by the next server if its process was killed."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

_PREFIX = "earthreason-serve-"
_LOCK = "lock"


def make_folder(parent: Path) -> tuple[Path, FileLock]:
    """Make a folder that belongs to this process as long as the returned lock is held."""
    new = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=parent))
    lock = FileLock(new / _LOCK)
    lock.acquire()
    # Only now it has a name that other servers look for, so none can take the lock first.
    return new.rename(parent / new.name.removeprefix(".")), lock


def remove_abandoned(parent: Path) -> None:
    """Remove the folders of this user's servers that have ended without removing them; their locks are free."""
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            status = folder.lstat()
            is_ours = not hasattr(os, "getuid") or status.st_uid == os.getuid()
            if folder.is_symlink() or not is_ours or not (folder / _LOCK).is_file():
                continue
            with FileLock(folder / _LOCK, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (OSError, Timeout):
            continue  # it is in use, or just went away
