"""Results as files: `results/<team__model>/<revision>/{result,meta}.json`, for a repository that takes pull requests.

The revision is the split and the first digits of the predictions' SHA-256, so a folder names the file it is about.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from earthreason.errors import DataNotFoundError, EarthReasonError
from earthreason.files import write_json
from earthreason.metrics.protocols import PROTOCOLS
from earthreason.metrics.references import References
from earthreason.metrics.scores import METRICS
from earthreason.predictions.reader import open_predictions
from leaderboard.board import BoardEntry
from leaderboard.records import (
    ALL,
    Metadata,
    Name,
    RecordError,
    ResultRecord,
    ScoreEstimate,
    Text,
    check_card,
    json_bytes,
    parse_record,
    parse_result,
)
from leaderboard.scoring import score_predictions

REVISION = 12
_FILES = ("meta.json", "result.json")
_MAX_BYTES = 2 << 20
_ROUNDING = 1e-4
_SAME = 1e-9
MOST_DIFFERENCES = 20
"""Differences reported per row."""


class Meta(BaseModel):
    """The content of `meta.json`: team, metadata and date."""

    model_config = ConfigDict(extra="forbid", strict=True)

    team: Name
    metadata: Metadata
    published: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    flag: Text | None = None
    card: dict[str, JsonValue] | None = None


def slug(text: str) -> str:
    """Turn a name into part of a file name; append a hash if more than spaces is lost."""
    plain = re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")
    if plain and plain == text.replace(" ", "-"):
        return plain
    return f"{plain}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}".lstrip("-")


def folder_name(team: str, model: str) -> str:
    """Name the folder of a model: `team__model`."""
    return f"{slug(team)}__{slug(model)}"


def revision_of(record: ResultRecord) -> str:
    """Name the revision by split and SHA-256: one file may be a row of several splits."""
    return f"{slug(record.config)}-{slug(record.split)}-{record.predictions_sha256[:REVISION]}"


def write_entry(root: Path, entry: BoardEntry) -> Path:
    """Write the two files of a row, replacing earlier ones of the same row; return their folder.

    Raises:
        EarthReasonError: the folder holds another row or something else.
    """
    folder = root / folder_name(entry.team, entry.model) / revision_of(entry.record)
    if (folder / "meta.json").is_file() and _identity(read_entry(folder)) != _identity(entry):
        raise EarthReasonError(f"{folder}: contains another row; choose a more distinct name for the team or model")
    write_json(folder / "result.json", entry.record.model_dump(mode="json"))
    facts = {
        "team": entry.team,
        "metadata": {key: value for key, value in entry.metadata.items() if key != "contact"},
        "published": entry.date,
        "flag": entry.flag,
        "card": entry.card,
    }
    write_json(folder / "meta.json", facts)
    return folder


def _identity(entry: BoardEntry) -> tuple[str, ...]:
    record = entry.record
    return entry.team, entry.model, record.config, record.split, record.predictions_sha256


def read_entry(folder: Path) -> BoardEntry:
    """Read a row from its folder.

    Raises:
        EarthReasonError: the row has faults.
    """
    meta = parse_record(Meta, _read_json(folder / "meta.json"), str(folder / "meta.json"))
    check_card(meta.card)
    record = parse_result(_read_json(folder / "result.json"), str(folder / "result.json"))
    faults = [f"{folder / 'result.json'}: {fault}" for fault in _faults_of(record)]
    if faults:
        raise RecordError("\n".join(faults))
    try:
        day = datetime.strptime(meta.published, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise RecordError(f"{folder / 'meta.json'}: published: there is no day {meta.published}") from None
    return BoardEntry(
        id=f"{folder.parent.name}-{folder.name}",
        team=meta.team,
        metadata=meta.metadata.public(),
        record=record,
        published=day.timestamp(),
        flag=meta.flag,
        card=meta.card,
    )


def _read_json(path: Path) -> Any:
    if path.stat().st_size > _MAX_BYTES:
        raise RecordError(f"{path}: over {_MAX_BYTES >> 20} MiB")
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}: not JSON: {error}") from None
    json_bytes(value, str(path))
    return value


def entry_folders(root: Path) -> Iterator[Path]:
    """Yield every folder that should hold a row.

    Raises:
        DataNotFoundError: there is no such folder.
    """
    if not root.is_dir():
        raise DataNotFoundError(f"there is no folder {root}; rows are kept in results/<team__model>/<revision>/")
    for group in sorted(root.iterdir()):
        if group.is_dir() and not group.name.startswith("."):
            yield from (folder for folder in sorted(group.iterdir()) if folder.is_dir())


def read_repository(root: Path) -> Iterator[BoardEntry]:
    """Read all rows, one at a time.

    Raises:
        EarthReasonError: a row has faults; `validate` lists those of all rows.
    """
    return map(read_entry, entry_folders(root))


def validate(root: Path) -> list[str]:
    """Check a results repository; return one line per fault."""
    faults: list[str] = []
    truths: dict[str, dict[str, list[Path]]] = {}
    for path in sorted(root.rglob("*")) if root.is_dir() else []:
        depth = len(path.relative_to(root).parts)
        if path.is_symlink() or (
            path.is_file() and not path.name.startswith(".") and (depth != 3 or path.name not in _FILES)
        ):
            faults.append(f"{path}: only {' and '.join(_FILES)} in <team__model>/<revision>/ belong here")
    for folder in entry_folders(root):
        missing = [name for name in _FILES if not (folder / name).is_file() or (folder / name).is_symlink()]
        if missing:
            faults.append(f"{folder}: {' and '.join(missing)} missing")
            continue
        try:
            entry = read_entry(folder)
        except EarthReasonError as error:
            faults.extend(str(error).splitlines())
            continue
        faults.extend(f"{folder}: {fault}" for fault in _name_faults(entry, folder))
        split = f"{entry.record.config}/{entry.record.split}"
        truths.setdefault(split, {}).setdefault(entry.record.dataset_sha256, []).append(folder)
    for split, by_truth in truths.items():
        if len(by_truth) > 1:
            fewest = min(by_truth.values(), key=len)
            faults.extend(
                f"{folder}: scored against another ground truth of {split} than the others" for folder in fewest
            )
    return faults


def _name_faults(entry: BoardEntry, folder: Path) -> Iterator[str]:
    if folder.parent.name != folder_name(entry.team, entry.model):
        yield f"the folder should be called {folder_name(entry.team, entry.model)}, after meta.json"
    revision = revision_of(entry.record)
    if folder.name not in (revision, entry.record.predictions_sha256[:REVISION]):  # the first form
        yield f"the revision should be {revision}, from the split and predictions_sha256"


def _faults_of(record: ResultRecord) -> Iterator[str]:
    if "segearth-r1" not in record.protocols:
        yield "no scores under the official protocol, segearth-r1"
    subsets = {subset.key: subset.questions for subset in record.subsets}
    if subsets.get(ALL) != record.questions or max(subsets.values()) > record.questions:
        yield f"the subsets do not fit {record.questions} questions"
    if max(record.images, record.empty_targets) > record.questions:
        empty = f"{record.empty_targets} questions without a target"
        yield f"{record.images} images and {empty} in {record.questions} questions"
    if record.curve != sorted(record.curve, reverse=True):
        yield "the curve must not rise"
    for name, scores in record.protocols.items():
        if name not in PROTOCOLS:
            yield f"unknown protocol {name!r}"
        elif scores.grid != PROTOCOLS[name].grid.name:
            yield f"{name}: compared on {scores.grid}, not on {PROTOCOLS[name].grid.name}"
        if ALL not in scores.scores:
            yield f"{name}: no scores over all questions"
        for key, cells in scores.scores.items():
            if key not in subsets:
                yield f"{name}: the subset {key!r} is not listed"
            yield from _score_faults(f"{name}, {key}", cells)


def _score_faults(place: str, cells: dict[str, ScoreEstimate]) -> Iterator[str]:
    for metric, (value, low, high) in cells.items():
        if metric not in METRICS:
            yield f"{place}: unknown score {metric!r}"
        elif (low is None) != (high is None):
            yield f"{place}: the interval of {metric} lacks one end"
        elif low is not None and high is not None and not low - _ROUNDING <= value <= high + _ROUNDING:
            yield f"{place}: {metric} is outside its interval: {[low, value, high]}"


def splits_of(root: Path, predictions: Path) -> list[tuple[str, str]]:
    """List configuration and split of every row about a file."""
    sha256 = open_predictions(predictions).fingerprint()
    records = (read_entry(folder).record for folder in entry_folders(root) if folder.name.endswith(sha256[:REVISION]))
    return sorted({(record.config, record.split) for record in records})


def rescore(root: Path, predictions: Path, references: References) -> list[str]:
    """Score a file again and compare it with every row about it; return one line per figure that differs.

    Rows that were scored against another ground truth are skipped.

    Raises:
        DataNotFoundError: no row is about this file and this truth.
    """
    opened = open_predictions(predictions)
    sha256, truth = opened.fingerprint(), references.fingerprint()
    rows = {
        folder: read_entry(folder).record for folder in entry_folders(root) if folder.name.endswith(sha256[:REVISION])
    }
    about = {folder: record for folder, record in rows.items() if record.dataset_sha256 == truth}
    if not about:
        others = f"; {len(rows)} of another ground truth" if rows else ""
        raise DataNotFoundError(f"no row in {root} is about {predictions} (revision {sha256[:REVISION]}){others}")
    faults = []
    for folder, stated in about.items():
        scoring = score_predictions(
            opened,
            references,
            config=stated.config,
            split=stated.split,
            hidden=stated.hides_labels,
            resamples=stated.resamples,
            seed=stated.seed,
        )
        faults += [f"{folder}: {difference}" for difference in _differences_of(stated, (scoring.record, scoring.final))]
    return faults


def _differences_of(entry: ResultRecord, forms: Sequence[ResultRecord]) -> list[str]:
    """List where a stated result differs from the form of a new one that is nearest to it."""
    stated, *others = (record.model_dump(mode="json", exclude={"earthreason"}) for record in (entry, *forms))
    return min((list(_differences("", stated, other)) for other in others), key=len)[:MOST_DIFFERENCES]


def _differences(place: str, stated: Any, actual: Any) -> Iterator[str]:
    """Yield every leaf in which two JSON values differ; numbers may differ by rounding."""
    if isinstance(stated, dict) and isinstance(actual, dict):
        for key in [*actual, *(key for key in stated if key not in actual)]:
            yield from _differences(f"{place}, {key}".removeprefix(", "), stated.get(key), actual.get(key))
    elif isinstance(stated, list) and isinstance(actual, list) and len(stated) == len(actual):
        for one, other in zip(stated, actual, strict=True):
            yield from _differences(place, one, other)
    elif not (stated == actual or (_is_number(stated) and _is_number(actual) and abs(stated - actual) <= _SAME)):
        yield f"{place}: stated {stated}, found {actual}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
