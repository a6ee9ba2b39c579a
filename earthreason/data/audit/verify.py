"""Audit a release folder and report every fault, not only the first.

Each file is read once, in parallel, and its facts are kept in a journal, so an interrupted audit continues and a second
one reads only the files that changed. The rules then judge the facts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
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

_JOURNAL_FORM = 4
"""Version of the facts; increase it whenever they change, so that journals with other facts are ignored."""


@dataclass(frozen=True)
class Audit:
    """Result of an audit.

    Attributes:
        root: folder of the release.
        counts: number of images, by split.
        empty: number of labels that are all zero, by split.
        findings: all findings, errors first.
        files: number of files in the release.
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
        """Return the audit as JSON values."""
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
    """Read every file of a release and apply every rule.

    Args:
        root: folder that contains the release, at any depth.
        workers: number of processes.
        journal: JSONL file for the facts; files that have not changed since they were recorded are not read again.
        progress: called with the number of files taken from the journal, then with 1 after each file read.

    Raises:
        DataNotFoundError: there is no release in `root`.
    """
    release = find_release(root)
    listed = {_key(job): job for job in _files(release)}
    seen = _read_journal(journal)
    jobs = {key: job for key, job in listed.items() if key not in seen}
    progress(len(listed) - len(jobs))
    for key, facts in _look_at_all(jobs, workers, journal):
        seen[key] = facts
        progress(1)
    table = Table([seen[key] for key in listed])
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
            continue  # an interrupted audit left a partial line; its file is read again
    return known


def _look_at_all(jobs: dict[str, Job], workers: int, journal: Path | None) -> Iterator[tuple[str, Facts]]:
    with ExitStack() as stack:
        sink = None
        if journal is not None:
            journal.parent.mkdir(parents=True, exist_ok=True)
            end_last_line(journal)
            sink = stack.enter_context(journal.open("a", encoding="utf-8"))
        pool = stack.enter_context(ProcessPoolExecutor(workers)) if workers > 1 else None
        results = pool.map(look_at, jobs.values(), chunksize=8) if pool else map(look_at, jobs.values())
        for key, facts in zip(jobs, results, strict=True):
            if sink is not None:
                sink.write(json.dumps({"key": key, "facts": asdict(facts)}, ensure_ascii=False) + "\n")
                sink.flush()
            yield key, facts
