"""Prepared copies of datasets in the cache: what is there, and what is no longer of use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from earthreason.data.configs import prepared_root
from earthreason.data.prepared import DATASET, read_origin, versions

State = Literal["current", "outdated", "unfinished"]


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
            since; `unfinished` was left by a process that was killed.
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
    """List the prepared copies, the newest first."""
    copies = list(_copies(prepared_root()))
    newest: dict[tuple[str, str], str] = {}
    for copy in copies:
        if copy.state == "current":
            newest[copy.config, copy.origin] = max(copy.made, newest.get((copy.config, copy.origin), ""))
    seen = [
        copy if copy.state != "current" or copy.made == newest[copy.config, copy.origin] else _outdated(copy)
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
            with FileLock(copy.folder.parent / "lock", timeout=0):
                shutil.rmtree(copy.folder)
        except Timeout:
            continue
        if not any(child.name.startswith((DATASET, f".{DATASET}.")) for child in copy.folder.parent.iterdir()):
            shutil.rmtree(copy.folder.parent, ignore_errors=True)  # with the lock and the ground truth made of the copy
        removed.append(copy)
    if removed:
        _remove_arrow_copies()
    return removed


def _copies(root: Path) -> Iterator[Copy]:
    for folder in sorted(root.glob("*/*")):
        if not folder.is_dir():
            continue
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        made = datetime.fromtimestamp(folder.stat().st_mtime, UTC).isoformat(timespec="milliseconds")
        if folder.name.startswith(f".{DATASET}."):
            yield Copy(folder, folder.parent.name.split("-")[0], "unknown", made, size, "unfinished")
        elif folder.name == DATASET:
            origin = read_origin(folder)
            state: State = "current" if origin is not None and origin.versions == versions() else "outdated"
            config, source = ("unknown", "unknown") if origin is None else (origin.config, origin.source)
            yield Copy(folder, config, source, made, size, state)


def _outdated(copy: Copy) -> Copy:
    return Copy(copy.folder, copy.config, copy.origin, copy.made, copy.size, "outdated")


def _remove_arrow_copies() -> None:
    """Remove the Arrow files that `datasets` made of copies that are no longer there."""
    import datasets

    kept = {
        Path(datasets.load_dataset_builder(str(copy.folder)).cache_dir)
        for copy in list_copies()
        if copy.state != "unfinished"
    }
    for folder in Path(datasets.config.HF_DATASETS_CACHE, DATASET).glob("*/*/*"):
        if folder.is_dir() and folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)
