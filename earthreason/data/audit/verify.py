"""Audit a release folder: everything that is wrong with it, not only the first thing.

Each file is looked at once, in parallel, and what was seen is kept in a journal, so an interrupted audit goes on and a
second one only looks at what changed. The rules then read these facts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from earthreason.data.audit.facts import Facts, Job, look_at
from earthreason.data.audit.rules import RULES, Finding, Table
from earthreason.data.schema import SPLITS
from earthreason.data.sources.base import ON_DISK
from earthreason.data.sources.release import (
    FOLDERS,
    PUBLISHED,
    PUBLISHED_EMPTY,
    find_release,
    list_files,
    split_folder,
)
from earthreason.files import end_last_line, file_stamp

_JOURNAL_FORM = 2
"""Goes up when other facts are kept, so that no journal is read that lacks them."""


@dataclass(frozen=True)
class Audit:
    """The outcome.

    Attributes:
        root: the release.
        counts: samples that have an image, by split.
        empty: samples whose mask is all zero, by split.
        findings: errors first.
        files: how many files were looked at.
    """

    root: Path
    counts: dict[str, int]
    empty: dict[str, int]
    findings: list[Finding]
    files: int

    @property
    def errors(self) -> int:
        return sum(finding.severity == "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The audit as JSON values."""
        return {
            "release": str(self.root),
            "files": self.files,
            "samples": self.counts,
            "empty_targets": self.empty,
            "published_samples": PUBLISHED,
            "published_empty_targets": PUBLISHED_EMPTY,
            "errors": self.errors,
            "warnings": len(self.findings) - self.errors,
            "findings": [asdict(finding) for finding in self.findings],
        }


def audit(
    root: Path, workers: int = 1, journal: Path | None = None, progress: Callable[[int], object] = lambda _: None
) -> Audit:
    """Look at every file of a release and apply every rule.

    Args:
        root: folder that holds the release, however deep.
        workers: processes.
        journal: JSONL file of what was seen; files that did not change since are not looked at again.
        progress: called with the number of files done; first with 0.

    Raises:
        DataNotFoundError: there is no release.
    """
    release = find_release(root)
    listed = list(_files(release))
    known = _read_journal(journal)
    jobs = [job for job in listed if _key(job) not in known]
    progress(len(listed) - len(jobs))
    seen = dict(known)
    for facts, key in _look_at_all(jobs, workers, journal):
        seen[key] = facts
        progress(1)
    table = Table([seen[_key(job)] for job in listed])
    findings = [finding for rule in RULES for finding in rule(table)]
    findings.sort(key=lambda finding: finding.severity != "error")
    empty = {split: sum(label.values["area"] == 0 for label in table.readable("labels", split)) for split in SPLITS}
    counts = {split: len(table.of("images", split)) for split in SPLITS}
    return Audit(release, counts, empty, findings, len(listed))


def _files(release: Path) -> Iterator[Job]:
    for split in ON_DISK:
        folder = split_folder(release, split)
        if folder is not None:
            for part in FOLDERS:
                for path in list_files(folder / part):
                    yield split, part, path


def _key(job: Job) -> str:
    split, part, path = job
    return f"{_JOURNAL_FORM}/{split}/{part}/{file_stamp(path, path.parent)}"


def _read_journal(path: Path | None) -> dict[str, Facts]:
    if path is None or not path.is_file():
        return {}
    known = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
            known[entry["key"]] = Facts(**entry["facts"])
        except (ValueError, KeyError, TypeError):
            continue  # the line was cut off when the audit was interrupted; that file is looked at again
    return known


def _look_at_all(jobs: list[Job], workers: int, journal: Path | None) -> Iterator[tuple[Facts, str]]:
    if journal is not None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        end_last_line(journal)
    sink = journal.open("a", encoding="utf-8") if journal is not None else None
    try:
        with ProcessPoolExecutor(max(1, workers)) as pool:
            found: Iterable[Facts] = map(look_at, jobs) if workers <= 1 else pool.map(look_at, jobs, chunksize=8)
            for facts, job in zip(found, jobs, strict=True):
                key = _key(job)
                if sink is not None:
                    sink.write(json.dumps({"key": key, "facts": asdict(facts)}, ensure_ascii=False) + "\n")
                    sink.flush()
                yield facts, key
    finally:
        if sink is not None:
            sink.close()
