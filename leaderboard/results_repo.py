"""Results as files: `results/<team__model>/<revision>/{result,meta}.json`, for a repository that takes pull requests.

The revision is the split and the first digits of the predictions' SHA-256, so a folder names the file it is about.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from earthreason.errors import DataNotFoundError, EarthReasonError
from earthreason.files import write_json
from earthreason.metrics.references import References
from earthreason.metrics.truth import load_references
from earthreason.predictions.reader import open_predictions
from earthreason.strict_json import strict_loads

from .board import BoardEntry
from .records import (
    Metadata,
    Name,
    RecordError,
    ResultRecord,
    Text,
    check_card,
    json_bytes,
    parse_record,
    parse_result,
)
from .row_faults import faults_of
from .scoring import score_predictions

REVISION = 12
FILES = ("meta.json", "result.json")
_MAX_BYTES = 2 << 20
_SAME = 1e-9
_AHEAD = timedelta(days=1)
"""How far the clocks and time zones of those who write rows may be ahead."""
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
    if (folder / "meta.json").is_file() and identity(read_entry(folder)) != identity(entry):
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


def identity(entry: BoardEntry) -> tuple[str, ...]:
    """Return what makes a row this row: team, model, split and file."""
    record = entry.record
    return entry.team, entry.model, record.config, record.split, record.predictions_sha256


def read_entry(folder: Path) -> BoardEntry:
    """Read a row from its folder.

    Raises:
        EarthReasonError: the row has faults.
    """
    for place in (folder.parent, folder):
        if place.is_symlink():
            raise RecordError(f"{place}: a symbolic link; only folders belong here")
    meta = parse_record(Meta, _read_json(folder / "meta.json"), str(folder / "meta.json"))
    try:
        check_card(meta.card)
    except RecordError as error:
        raise RecordError(f"{folder / 'meta.json'}: {error}") from None
    record = parse_result(_read_json(folder / "result.json"), str(folder / "result.json"))
    faults = [f"{folder / 'result.json'}: {fault}" for fault in faults_of(record)]
    if faults:
        raise RecordError("\n".join(faults))
    try:
        day = datetime.strptime(meta.published, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise RecordError(f"{folder / 'meta.json'}: published: there is no day {meta.published}") from None
    if day > datetime.now(UTC) + _AHEAD:
        raise RecordError(f"{folder / 'meta.json'}: published: {meta.published} has not come yet")
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
    if path.is_symlink():
        raise RecordError(f"{path}: a symbolic link; only files belong here")
    if path.stat().st_size > _MAX_BYTES:
        raise RecordError(f"{path}: over {_MAX_BYTES >> 20} MiB")
    try:
        value = strict_loads(path.read_bytes())
    except ValueError as error:
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
            yield from (one for one in sorted(group.iterdir()) if one.is_dir() and not one.name.startswith("."))


def read_repository(root: Path) -> Iterator[BoardEntry]:
    """Read all rows, one at a time.

    Raises:
        EarthReasonError: a row has faults; `validate` lists those of all rows.
    """
    return map(read_entry, entry_folders(root))


def rescore(
    root: Path,
    predictions: Path,
    references: References | None = None,
    data_dir: Path | None = None,
    *,
    secret: bool = False,
) -> list[str]:
    """Score a file again and compare it with every row about it; return one line per figure that differs.

    Args:
        root: results repository.
        predictions: the file.
        references: truth to score against; rows that were scored against another one are skipped. By default, each row
            is scored against the truth of its own config and split.
        data_dir: folder of the data, if `references` is None.
        secret: whether the labels are hidden. A row must then be reduced, as it may be written to make this check
            print what it should not: complete rows are refused, and lines name what differs without what was found.

    Raises:
        DataNotFoundError: no row is about this file and this truth, or the truth of a row cannot be loaded.
    """
    opened = open_predictions(predictions)
    sha256 = opened.fingerprint()
    rows = {
        folder: read_entry(folder).record for folder in entry_folders(root) if folder.name.endswith(sha256[:REVISION])
    }
    splits = {(record.config, record.split) for record in rows.values()}
    truths = {split: references or _load_truth(*split, data_dir) for split in sorted(splits)}
    sha256_of = {split: truth.fingerprint() for split, truth in truths.items()}
    about = {
        folder: record
        for folder, record in rows.items()
        if references is None or record.dataset_sha256 == sha256_of[record.config, record.split]
    }
    if not about:
        others = f"; {len(rows)} of another ground truth" if rows else ""
        raise DataNotFoundError(f"no row in {root} is about {predictions} (revision {sha256[:REVISION]}){others}")
    faults = []
    for folder, stated in about.items():
        split = (stated.config, stated.split)
        if stated.dataset_sha256 != sha256_of[split]:
            faults.append(f"{folder}: scored against another ground truth than {'/'.join(split)} has here")
            continue
        if secret and not stated.hides_labels:
            faults.append(f"{folder}: complete scores, but the labels are hidden; write it with `result --hidden`")
            continue
        scoring = score_predictions(
            opened,
            truths[split],
            config=stated.config,
            split=stated.split,
            hidden=stated.hides_labels,
            main=stated.main_protocol,
            resamples=stated.resamples,
            seed=stated.seed,
        )
        lines = _differences_of(stated, (scoring.record, scoring.final))
        faults += [f"{folder}: {line.partition(', found')[0] if secret else line}" for line in lines]
    return faults


def _load_truth(config: str, split: str, data_dir: Path | None) -> References:
    """Load the truth of a row's split.

    Raises:
        DataNotFoundError: it cannot be loaded; says how to give it.
    """
    try:
        return load_references(config, split, data_dir)
    except EarthReasonError as error:
        raise DataNotFoundError(
            f"the ground truth of {config}/{split} cannot be loaded: {error} Give it with --data-dir or --ground-truth"
        ) from None


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
