"""Create the folder of a review from any source of samples, or from a run of `earthreason questions`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from earthreason.data.exports import suffix_of
from earthreason.data.reader import open_source, read_all
from earthreason.data.schema import Record
from earthreason.data.sources.release import Release
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.files import atomic_path, file_stamp, refuse_taken
from earthreason.questions.ledger import Ledger
from earthreason.questions.recipe import SOURCE
from earthreason.questions.results import emptied, require_same_pixels

from ..release import AgreedSamples
from ..rulings import RETURNED, RULINGS
from ..workspace import CONSENSUS, DRAWINGS, TASKS, Workspace, is_workspace
from .model import Plan, ReviewSample
from .schema import STORE, build_store
from .store import ReviewStore

LEDGER = "ledger.sqlite"
Progress = Callable[[int], object]
Entry = tuple[str, Record, Path | None]
"""Split, record, and the file of its picture; None if the picture must be written into the review."""


def open_review(
    source: str, folder: Path, plan: Plan, progress: Progress = lambda _: None, stale_ok: bool = False
) -> ReviewStore:
    """Open the review in a folder; create it if the folder is missing or empty.

    Args:
        source: release, export, workspace, run of `earthreason questions`, or configuration.
        folder: folder of the review.
        plan: plan of a new review; an existing review keeps its own.
        progress: called with 1 for every sample added.
        stale_ok: whether to continue a review whose source has changed.

    Raises:
        EarthReasonError: the folder holds the review of another source, or of an earlier state of this one.
    """
    identity, path = _identity(source), folder / STORE
    if path.is_file():
        store = ReviewStore(path)
        held, state = store.setting("source"), store.setting("state")
        if held == identity and (stale_ok or state == _state(source)):
            return store
        store.close()
        if held != identity:
            raise EarthReasonError(f"{folder} contains the review of {held}, not of {identity}; choose another --out")
        raise EarthReasonError(
            f"{source} has changed since the review in {folder} was created, so its verdicts are about the earlier "
            "samples; create a new review with another --out, or continue this one with --stale-ok"
        )
    refuse_taken(folder)
    with atomic_path(folder) as temporary:
        (temporary / "masks").mkdir(parents=True)
        (temporary / "pictures").mkdir()
        settings = {"source": identity, "state": _state(source), "run": is_run(source)}
        build_store(temporary / STORE, _samples(source, temporary, folder, progress), plan, settings)
    return ReviewStore(path)


def _identity(source: str) -> str:
    return str(Path(source).resolve()) if Path(source).exists() else source


def _state(source: str) -> str:
    """Hash everything that would be reviewed."""
    digest, path = hashlib.sha256(), Path(source)
    if is_run(source):
        ledger = Ledger(path / LEDGER)
        for _, result in sorted(ledger.results(), key=lambda entry: (entry[1].sample_id, entry[0])):
            digest.update(repr((result.sample_id, result.status, result.questions, result.answers)).encode())
        ledger.close()
        return digest.hexdigest()[:16]
    if is_workspace(path):
        files = [path / name for name in (TASKS, DRAWINGS, CONSENSUS, RULINGS, RETURNED)]
    else:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in (file for file in files if file.is_file()):
        digest.update(f"{file_stamp(file, file.parent)}\n".encode())
    return digest.hexdigest()[:16]


def is_run(source: str) -> bool:
    """Tell whether a source is a run directory of `earthreason questions generate`."""
    return (Path(source) / LEDGER).is_file()


def _samples(source: str, writing: Path, final: Path, progress: Progress) -> Iterator[ReviewSample]:
    """Yield the samples and write their masks; reference pictures that are already files, and write the others."""
    for number, (split, record, path) in enumerate(_entries(source), start=1):
        mask = f"masks/{number:06d}.png"
        (writing / mask).write_bytes(record.mask)
        if path is None:
            picture = f"pictures/{number:06d}.{suffix_of(record)}"
            (writing / picture).write_bytes(record.image)
        else:
            picture = os.path.relpath(path.resolve(), final.resolve())
        questions = [text for text in record.questions if text.strip()]
        if len(questions) != len(record.questions):
            raise DataFormatError(
                f"sample {record.sample_id!r} has an empty question; generate questions with `earthreason questions "
                "generate`"
            )
        yield ReviewSample(
            record.sample_id,
            split,
            picture,
            mask,
            record.height,
            record.width,
            record.is_empty,
            questions,
            record.answers,
            record.category,
            record.ground_resolution,
        )
        progress(1)


def _entries(source: str) -> Iterator[Entry]:
    if is_run(source):
        yield from _of_run(Path(source))
        return
    if is_workspace(Path(source)):
        workspace = Workspace.open(Path(source))
        for split, record in read_all(AgreedSamples(workspace)):
            yield split, record, workspace.picture(record.sample_id)
        return
    opened = open_source(source)
    if isinstance(opened, Release):
        yield from _of_release(opened)
        return
    for split, record in read_all(opened):
        yield split, record, None


def _of_release(opened: Release) -> Iterator[Entry]:
    for split in opened.counts:
        files = opened.image_files(split)
        for record in opened.read(split):
            yield split, record, files[record.sample_id]


def _of_run(folder: Path) -> Iterator[Entry]:
    """Yield the finished samples of a run with all generated questions."""
    ledger = Ledger(folder / LEDGER)
    source = ledger.setting(SOURCE)
    done = {(split, result.sample_id): result for split, result in ledger.results() if result.status == "done"}
    ledger.close()
    if source is None or not done:
        raise EarthReasonError(f"{folder}: no sample is finished; see `earthreason questions status {folder}`")
    for split, record, path in _entries(source):
        result = done.get((split, record.sample_id))
        if result is None:
            continue
        require_same_pixels(split, record, result)
        if result.concept is None:
            changed = replace(record, answers=result.answers)
        else:
            changed = replace(emptied(record), category=result.concept)  # reviewers are told what is absent
        yield split, replace(changed, questions=result.questions), path
