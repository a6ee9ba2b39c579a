"""Replace files that belong together, such as the parts of a Shapefile."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def remove_stale(target: Path, endings: Sequence[str]) -> None:
    """Remove files beside a new one that belong to the one whose place it took, and would change what is read.

    Args:
        target: new file.
        endings: what their names have after the name of `target`; those with `*` take the place of its suffix.

    Raises:
        OSError: one cannot be removed.
    """
    for ending in endings:
        part = target.with_suffix(ending[1:]) if ending.startswith("*") else target.with_name(target.name + ending)
        part.unlink(missing_ok=True)


@contextmanager
def replace_together(target: Path, parts: Sequence[str], stale: Sequence[str] = ()) -> Iterator[Path]:
    """Yield a temporary path beside `target`; if the block succeeds, its parts take the place of the old ones.

    If one cannot be moved, the old ones are put back.

    Args:
        target: main file, such as `roads.shp`.
        parts: suffixes of the files that are written, the main one last.
        stale: suffixes of files that are wrong beside new ones, and are removed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    old = scratch / "old"
    old.mkdir()
    placed: list[Path] = []
    try:
        temporary = scratch / "new" / target.name
        temporary.parent.mkdir()
        yield temporary
        try:
            for suffix in (*parts, *stale):
                before = target.with_suffix(suffix)
                if before.exists():
                    before.replace(old / before.name)
            for suffix in parts:
                part = temporary.with_suffix(suffix)
                if part.exists():
                    part.replace(target.with_suffix(suffix))
                    placed.append(target.with_suffix(suffix))
        except OSError:
            for path in placed:
                path.unlink(missing_ok=True)
            for path in old.iterdir():
                path.replace(target.parent / path.name)
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
