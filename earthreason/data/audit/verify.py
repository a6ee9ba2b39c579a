"""Audit a release folder and report every fault, not only the first.

Each file is read once, in parallel, and its facts are kept in a journal, so an interrupted audit continues and a second
one reads only the files that changed. The rules then judge the facts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from earthreason.data.about import About
from earthreason.data.audit.facts import Facts, Job, look_at
from earthreason.data.audit.rules import RULES, Finding, Table, name_of
from earthreason.data.layout import Layout
from earthreason.data.locate import find_layout
from earthreason.data.origin import about_of_source, is_official
from earthreason.data.pairing import group_by_stem
from earthreason.data.schema import SPLITS
from earthreason.data.sources.release import PUBLISHED, PUBLISHED_EMPTY, Release
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.files import atomic_path, end_last_line, file_stamp, read_text
from earthreason.processes import process_pool, run_in_order
from earthreason.shards import Shard

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
        files: number of files in a release, or of samples elsewhere.
        published: published number of samples, by split; empty if it is unknown.
        published_empty: published number of empty targets; None if it is unknown.
        pictures: image and label of every sample, by "split/stem" and part; empty if they are in no files of their own.
    """

    root: Path
    counts: dict[str, int]
    empty: dict[str, int]
    findings: list[Finding]
    files: int
    published: Mapping[str, int]
    published_empty: int | None = None
    pictures: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        return sum(finding.severity == "error" for finding in self.findings)

    @property
    def left_out(self) -> list[str]:
        """Return the samples that loading leaves out, as "split/stem", sorted."""
        return sorted({name for finding in self.findings for name in finding.left_out})

    def to_dict(self) -> dict[str, Any]:
        """Return the audit as JSON values."""
        return {
            "release": str(self.root),
            "files": self.files,
            "samples": self.counts,
            "empty_targets": self.empty,
            "published_samples": dict(self.published),
            "published_empty_targets": self.published_empty,
            "left_out": self.left_out,
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
        DataFormatError: there are several releases, or an archive is broken.
    """
    layout = find_layout(root)
    stems = _stems(layout)
    listed = {_key(job): job for job in _files(layout)}
    seen = _read_journal(journal)
    jobs = {key: job for key, job in listed.items() if key not in seen}
    progress(len(listed) - len(jobs))
    for key, facts in _look_at_all(jobs, workers, journal):
        seen[key] = facts
        progress(1)
    table = Table([_with_stem(seen[key], stems) for key in listed])
    findings = [finding for rule in RULES for finding in rule(table)]
    findings.sort(key=lambda finding: finding.severity != "error")
    empty = {split: sum(label.values["area"] == 0 for label in table.readable("labels", split)) for split in SPLITS}
    counts = {split: len(table.of("images", split)) for split in SPLITS}
    pictures: dict[str, dict[str, Path]] = {}
    for split in SPLITS:
        for part in ("images", "labels"):
            for fact in table.of(part, split):
                pictures.setdefault(name_of(fact), {}).setdefault(part, Path(fact.path))
    published, published_empty = (
        (PUBLISHED, PUBLISHED_EMPTY) if is_official(counts, _about(layout.folder)) else ({}, None)
    )
    return Audit(layout.folder, counts, empty, findings, len(listed), published, published_empty, pictures)


def _about(folder: Path) -> About | None:
    try:
        return about_of_source(Release(folder), folder)
    except EarthReasonError:  # the findings say what is wrong
        return None


def read_part(
    root: Path, shard: Shard, journal: Path, workers: int = 1, progress: Callable[[int], object] = lambda _: None
) -> int:
    """Read one part of the files of a release and keep their facts, and return how many files the part has.

    The rules, such as those about leakage between splits and lookalikes, judge all facts; `audit` applies them when it
    gets the journals of all parts as one, and reads itself what no part has read.

    Args:
        root: folder that contains the release, at any depth; all machines see it under the same path.
        shard: part to read.
        journal: JSONL file for the facts; a part that was interrupted continues.
        workers: number of processes.
        progress: as for `audit`.
    """
    listed = [(_key(job), job) for job in _files(find_layout(root))]
    part = dict(listed[number] for number in shard.items_of(len(listed)))
    seen = _read_journal(journal)
    jobs = {key: job for key, job in part.items() if key not in seen}
    progress(len(part) - len(jobs))
    for _ in _look_at_all(jobs, workers, journal):
        progress(1)
    return len(part)


def is_journal(path: Path) -> bool:
    """Return whether a file is a journal of an audit, by its first line."""
    try:
        with path.open(encoding="utf-8") as file:
            return {"key", "facts"} <= json.loads(file.readline()).keys()
    except (OSError, ValueError, AttributeError):
        return False


def merge_journals(paths: Iterable[Path], out: Path) -> int:
    """Write one journal with the facts of all, and return how many files it describes.

    Raises:
        DataFormatError: a file is no journal.
    """
    facts: dict[str, Facts] = {}
    for path in paths:
        if not is_journal(path):
            raise DataFormatError(f"{path}: no journal of `earthreason verify`; `verify --shard --journal` writes it")
        facts |= _read_journal(path)
    lines = (_line_of(key, found) for key, found in facts.items())
    with atomic_path(out) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(lines)
    return len(facts)


def _line_of(key: str, facts: Facts) -> str:
    return json.dumps({"key": key, "facts": asdict(facts)}, ensure_ascii=False) + "\n"


def _files(layout: Layout) -> Iterator[Job]:
    for split, parts in layout.splits.items():
        for part, files in parts.items():
            yield from ((split, part, path) for path in files.files)


def _stems(layout: Layout) -> dict[str, str]:
    """Return the stem of the sample of every file, as loading pairs them."""
    return {
        str(path): stem
        for parts in layout.splits.values()
        for stem, files in group_by_stem(parts).items()
        for paths in files.values()
        for path in paths
    }


def _with_stem(facts: Facts, stems: Mapping[str, str]) -> Facts:
    stem = stems.get(facts.path, facts.stem)
    return facts if stem == facts.stem else replace(facts, stem=stem)


def _key(job: Job) -> str:
    split, part, path = job
    try:
        stamp = file_stamp(path, path.parent)
    except OSError:  # a link that leads nowhere; reading it names the fault
        stamp = path.name
    return f"{_JOURNAL_FORM}/{split}/{part}/{path.parent}/{stamp}"


def _read_journal(path: Path | None) -> dict[str, Facts]:
    if path is None or not path.is_file():
        return {}
    known = {}
    lines = read_text(path).split("\n")
    if len(lines) > 1 and not is_journal(path):  # what was interrupted has one partial line at most
        raise DataFormatError(f"{path}: no journal of `earthreason verify`; give another name for it")
    for line in lines:
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
        pool = stack.enter_context(process_pool(workers)) if workers > 1 else None
        results = (
            run_in_order(pool, look_at, [(job,) for job in jobs.values()], 8) if pool else map(look_at, jobs.values())
        )
        for key, facts in zip(jobs, results, strict=True):
            if sink is not None:
                sink.write(_line_of(key, facts))
                sink.flush()
            yield key, facts
