"""Prepared copies of datasets in the cache: what is there, and what is no longer of use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from earthreason.data.cache import unpacked_root
from earthreason.data.configs import prepared_root
from earthreason.data.prepared import DATASET, read_origin, versions

State = Literal["current", "outdated", "unfinished", "unpacked"]


@dataclass(frozen=True)
class Copy:
    """A prepared copy of a dataset.

    Attributes:
        folder: folder in the cache.
        config: configuration of `load_dataset`.
        origin: folder, or repository and commit, that the copy was made from.
        made: time at which it was made, ISO 8601.
        size: size in bytes, without the copies that `datasets` makes.
        state: `current` is used by the next load; `outdated` was made by other versions, or of files that changed
            since; `unfinished` was left by a process that was killed; `unpacked` holds the files of archives, from
            which another copy can be made without unpacking them again.
    """

    folder: Path
    config: str
    origin: str
    made: str
    size: int
    state: State

    def to_dict(self) -> dict[str, Any]:
        """Return the copy as JSON values."""
        return asdict(self) | {"folder": str(self.folder)}


def list_copies() -> list[Copy]:
    """List prepared copies and unpacked archives, the newest first."""
    copies = [*_copies(prepared_root()), *_unpacked(unpacked_root())]
    newest: dict[tuple[str, str], str] = {}
    for copy in copies:
        if copy.state == "current":
            newest[copy.config, copy.origin] = max(copy.made, newest.get((copy.config, copy.origin), ""))
    seen = [
        copy
        if copy.state != "current" or copy.made == newest[copy.config, copy.origin]
        else replace(copy, state="outdated")
        for copy in copies
    ]
    return sorted(seen, key=lambda copy: copy.made, reverse=True)


def remove(copies: list[Copy]) -> list[Copy]:
    """Remove copies, and those that `datasets` made of them; return what was removed.

    A copy that another process prepares at the moment is kept.
    """
    from filelock import FileLock, Timeout

    removed = []
    for copy in copies:
        try:
            with FileLock(_lock_of(copy), timeout=0):
                shutil.rmtree(copy.folder)
        except Timeout:
            continue
        # A prepared copy has ground truth made of it beside it; names of other copies begin like its own.
        name = copy.folder.name.lstrip(".").split(".")[0]
        if not any(child.name.lstrip(".").startswith(name) for child in copy.folder.parent.iterdir()):
            shutil.rmtree(copy.folder.parent, ignore_errors=True)  # with the lock and the ground truth made of the copy
        removed.append(copy)
    if removed:
        _remove_arrow_copies()
    return removed


def _copies(root: Path) -> Iterator[Copy]:
    for folder in sorted(path for path in root.glob("*/*") if path.is_dir()):
        if folder.name.startswith(f".{DATASET}."):
            yield _measured(folder, folder.parent.name.split("-")[0], "unknown", "unfinished")
        elif folder.name == DATASET:
            origin = read_origin(folder)
            state: State = "current" if origin is not None and origin.versions == versions() else "outdated"
            config, source = ("unknown", "unknown") if origin is None else (origin.config, origin.source)
            yield _measured(folder, config, source, state)


def _unpacked(root: Path) -> Iterator[Copy]:
    """Yield the folders of unpacked archives: those of commits of the Hub, and those of archives of the user."""
    for folder in sorted(path for path in root.glob("*/*") if path.is_dir() and path.name != "refs"):
        repository = folder.parent.name.removeprefix("datasets--").replace("--", "/")
        origin = f"{repository}@{folder.name}" if _is_of_hub(folder) else folder.name
        yield _measured(folder, "archives", origin, "unfinished" if folder.name.startswith(".") else "unpacked")


def _measured(folder: Path, config: str, origin: str, state: State) -> Copy:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    made = datetime.fromtimestamp(folder.stat().st_mtime, UTC).isoformat(timespec="milliseconds")
    return Copy(folder, config, origin, made, size, state)


def _is_of_hub(folder: Path) -> bool:
    return folder.parent.name.startswith("datasets--")


def _lock_of(copy: Copy) -> Path:
    """Return the lock that processes hold while they write a copy; see `configs`, `hub` and `locate`."""
    return copy.folder.with_name(f"{copy.folder.name}.lock" if _is_of_hub(copy.folder) else "lock")


def _remove_arrow_copies() -> None:
    """Remove the Arrow files that `datasets` made of copies that are no longer there."""
    import datasets

    kept = {
        Path(datasets.load_dataset_builder(str(copy.folder)).cache_dir)
        for copy in list_copies()
        if copy.state in ("current", "outdated")
    }
    for folder in Path(datasets.config.HF_DATASETS_CACHE, DATASET).glob("*/*/*"):
        if folder.is_dir() and folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)
