"""Check a results repository as a whole: what belongs in it, how rows are named, and what they have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from earthreason.errors import EarthReasonError

from .board import BoardEntry, BoardQuery
from .records import ResultRecord
from .results_repo import FILES, REVISION, entry_folders, folder_name, identity, read_entry, revision_of
from .static_site import StaticLinks


class _Pages:
    """The rows and pages seen so far: no row may come twice, and no two pages of the site may have one name."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, ...], Path] = {}
        self._pages: dict[str, tuple[object, Path]] = {}

    def faults_of(self, entry: BoardEntry, folder: Path) -> Iterator[str]:
        """Yield what a row has in common with earlier ones but must not."""
        first = self._rows.setdefault(identity(entry), folder)
        if first is not folder:
            yield f"the same row as {first}"
            return
        record, links = entry.record, StaticLinks()
        split = record.split_key
        pages: list[tuple[str, object]] = [(links.model(entry.id), folder)]
        for protocol, scored in record.protocols.items():
            first_page = links.board(BoardQuery(split, protocol)).removesuffix(".html")
            for key in scored.scores:
                query = BoardQuery(split, protocol, subset=key)
                page = links.board(query)
                pages.append((page, query))
                if re.fullmatch(rf"{re.escape(first_page)}-page-\d+\.html", page):
                    yield f"its page {page} would be a further page of all questions"
        for name, shown in pages:
            known, other = self._pages.setdefault(name, (shown, folder))
            if known != shown:
                yield f"its page {name} would be that of another model, split or group, as {other} has it too"


def validate(root: Path) -> list[str]:
    """Check a results repository; return one line per fault. Hidden files and folders, such as .git, are left alone."""
    faults: list[str] = []
    pages = _Pages()
    splits: dict[str, list[tuple[Path, ResultRecord]]] = {}
    for path in sorted(root.rglob("*")) if root.is_dir() else []:
        depth = len(path.relative_to(root).parts)
        if any(part.startswith(".") for part in path.relative_to(root).parts):
            continue
        if path.is_symlink() or (not path.is_dir() and (depth != 3 or path.name not in FILES)):
            faults.append(f"{path}: only {' and '.join(FILES)} in <team__model>/<revision>/ belong here")
    for folder in entry_folders(root):
        missing = [name for name in FILES if not (folder / name).is_file() or (folder / name).is_symlink()]
        if missing:
            faults.append(f"{folder}: {' and '.join(missing)} missing")
            continue
        try:
            entry = read_entry(folder)
        except EarthReasonError as error:
            faults.extend(str(error).splitlines())
            continue
        faults.extend(f"{folder}: {fault}" for fault in _name_faults(entry, folder))
        faults.extend(f"{folder}: {fault}" for fault in pages.faults_of(entry, folder))
        splits.setdefault(entry.record.split_key, []).append((folder, entry.record))
    for split, rows in splits.items():
        faults += [
            f"{folder}: scored against another ground truth of {split} than the others"
            for folder in _odd_ones((folder, record.dataset_sha256) for folder, record in rows)
        ]
        faults += [
            f"{folder}: has another main protocol than the other rows of {split}"
            for folder in _odd_ones((folder, record.main_protocol) for folder, record in rows)
        ]
    return faults


def _odd_ones(facts: Iterable[tuple[Path, str]]) -> list[Path]:
    """List the folders whose fact is the rarest; none if all have the same."""
    folders: dict[str, list[Path]] = {}
    for folder, fact in facts:
        folders.setdefault(fact, []).append(folder)
    return min(folders.values(), key=len) if len(folders) > 1 else []


def _name_faults(entry: BoardEntry, folder: Path) -> Iterator[str]:
    if folder.parent.name != folder_name(entry.team, entry.model):
        yield f"the folder should be called {folder_name(entry.team, entry.model)}, after meta.json"
    revision = revision_of(entry.record)
    if folder.name not in (revision, entry.record.predictions_sha256[:REVISION]):  # the first form
        yield f"the revision should be {revision}, from the split and predictions_sha256"
