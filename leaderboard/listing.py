"""Keep the listing: the public rows in the form in which the database filters and sorts them.

The listing is derived. A row enters when its submission becomes public, leaves when it no longer is, and is written
anew when it changes. `reconcile` compares all rows with the submissions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, delete, insert, select, update
from sqlalchemy.orm import Session

from .board import RowFacts, fold
from .changes import key_of_model, log_change
from .entries import public_metadata, shown_record
from .records import ALL
from .tables import (
    LISTING,
    NAME_LENGTH,
    PUBLIC,
    SCORED,
    Base,
    ListedColumn,
    ListedRow,
    ListedScore,
    ListedTable,
    ScoredResult,
    Submission,
    Version,
)

FORM = 1
"""Raise this when listed values are derived in another way; `bring_up_to_date` then lists all rows anew."""
ColumnKey = tuple[str, str, str]
"""Protocol, subset, metric."""
_AT_ONCE = 200
_ROWS, _SCORES = Base.metadata.tables["listed_rows"], Base.metadata.tables["listed_scores"]


def refresh(session: Session, submission_id: str) -> None:
    """Write the row of a submission anew, or remove it if it is not public, and log the change."""
    submission = session.get_one(Submission, submission_id)
    log_change(session, submission.split.key, submission_id)
    before = _model_of(session, submission_id)
    _unlist(session, [submission_id])
    _list_public(session, Lister(session), select(Submission).where(Submission.id == submission_id))
    for model in {before, _model_of(session, submission_id)} - {None}:
        log_change(session, model, submission_id)  # the pages of its other results name this one


def fold_name(model: str) -> str:
    """Fold the name of a model as the listing stores it."""
    return fold(model)[:NAME_LENGTH]


def _model_of(session: Session, entry_id: str) -> str | None:
    found = session.execute(select(ListedRow.team, ListedRow.name).where(ListedRow.entry_id == entry_id)).one_or_none()
    return None if found is None else key_of_model(found.team, found.name)


def unlist(session: Session, submission_ids: list[str]) -> None:
    """Remove the rows of submissions that will be scored again, and log the change."""
    if len(submission_ids) == 1:
        refresh(session, submission_ids[0])
    else:
        log_change(session)
        _unlist(session, submission_ids)


def reconcile(session: Session) -> None:
    """Make the listing agree with the submissions, whatever has changed."""
    listed = dict(session.execute(select(ListedRow.entry_id, ListedRow.fingerprint)).all())
    public = session.scalars(_public().execution_options(yield_per=_AT_ONCE))
    changed = [one.id for one in public if listed.pop(one.id, None) != _fingerprint(one)]
    _unlist(session, [*listed, *changed])
    lister = Lister(session)
    for ids in _parts(changed):
        _list_public(session, lister, select(Submission).where(Submission.id.in_(ids)))


def is_up_to_date(session: Session) -> bool:
    """Tell whether the listing has been filled in the form of this version."""
    return session.scalar(select(Version.listing_form)) == FORM


def bring_up_to_date(session: Session) -> None:
    """List all public rows if the listing is empty or in an older form."""
    if is_up_to_date(session):
        return
    for table in LISTING:
        session.execute(delete(table))
    session.execute(update(Version).values(listing_form=FORM))
    reconcile(session)


class Lister:
    """Adds rows to the listing within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._columns: dict[str, dict[ColumnKey, int]] = {}
        self._tables: dict[str, dict[tuple[str, str], ListedTable]] = {}
        self._sizes: dict[str, tuple[Any, Any]] = {}

    def add(self, facts: RowFacts, record: Mapping[str, Any], fingerprint: str = "") -> None:
        """Add a row. `record` is its result as JSON values."""
        split = f"{record['config']}/{record['split']}"
        row = {
            "entry_id": facts.id,
            "split": split,
            "team": facts.team,
            "name": fold_name(facts.model),
            "searched": f"{fold(facts.model)}\n{fold(facts.team)}",
            "training": facts.metadata["training"],
            "parameters": facts.metadata.get("parameters_millions"),
            "day": facts.date,
            "published": facts.published,
            "flag": facts.flag,
            "metadata": facts.metadata,
            "earthreason": record["earthreason"],
            "dataset_sha256": record["dataset_sha256"],
            "predictions_sha256": record["predictions_sha256"],
            "resamples": record["resamples"],
            "decimals": record.get("decimals"),
            "fingerprint": fingerprint,
        }
        connection = self._session.connection()
        number = connection.execute(insert(_ROWS).returning(_ROWS.c.id), row).scalar_one()
        scores = dict(_scores_of(record))
        columns = self._find_columns(split, record, scores)
        values = [
            {"column_id": columns[key], "row_id": number, "value": value, "low": low, "high": high}
            for key, (value, low, high) in scores.items()
        ]
        if values:
            connection.execute(insert(_SCORES), values)

    def _find_columns(
        self, split: str, record: Mapping[str, Any], scores: Iterable[ColumnKey]
    ) -> Mapping[ColumnKey, int]:
        """Find the columns of a record's scores; add those that are new to the split."""
        session, tables = self._session, self._find_tables(split, record)
        columns = self._columns.get(split)
        if columns is None:
            found = select(ListedTable.protocol, ListedTable.subset, ListedColumn.metric, ListedColumn.id)
            found = found.join(ListedTable, ListedTable.id == ListedColumn.table_id).where(ListedTable.split == split)
            columns = {(protocol, key, metric): number for protocol, key, metric, number in session.execute(found)}
            self._columns[split] = columns
        for key in scores:
            if key not in columns:
                column = ListedColumn(table_id=tables[key[:2]].id, metric=key[2])
                session.add(column)
                session.flush()
                columns[key] = column.id
        return columns

    def _find_tables(self, split: str, record: Mapping[str, Any]) -> Mapping[tuple[str, str], ListedTable]:
        """Find the tables of a record by protocol and subset; their sizes become those of the record."""
        kept = self._tables.get(split)
        sizes = (record["subsets"], {name: (p["questions"], [*p["scores"]]) for name, p in record["protocols"].items()})
        if kept is not None and self._sizes.get(split) == sizes:  # as nearly always: all rows have one truth
            return kept
        self._sizes[split] = sizes
        if kept is None:
            stored = self._session.scalars(select(ListedTable).where(ListedTable.split == split))
            kept = self._tables[split] = {(table.protocol, table.subset): table for table in stored}
        subsets = {subset["key"]: (position, subset) for position, subset in enumerate(record["subsets"])}
        for protocol, scored in record["protocols"].items():
            for key in scored["scores"]:
                position, subset = subsets[key]
                # The sizes of groups are those of the main protocol; another one has groups only if it asks the same.
                questions = scored["questions"] if key == ALL else subset["questions"]
                table = kept.get((protocol, key))
                if table is None:
                    table = kept[protocol, key] = ListedTable(split=split, protocol=protocol, subset=key)
                    self._session.add(table)
                table.breakdown, table.group = subset["breakdown"], subset["group"]
                table.questions, table.position = questions, position
        self._session.flush()
        return kept


def _public() -> Select[Submission]:
    return select(Submission).where(Submission.visibility == PUBLIC, Submission.state == SCORED)


def _list_public(session: Session, lister: Lister, chosen: Select[Submission]) -> None:
    """List the chosen submissions that are public and have a result of their generation."""
    rows = session.execute(
        chosen.add_columns(ScoredResult.record)
        .join(ScoredResult, ScoredResult.submission_id == Submission.id)
        .where(
            Submission.visibility == PUBLIC,
            Submission.state == SCORED,
            ScoredResult.generation == Submission.generation,
        )
        .execution_options(yield_per=20, populate_existing=True)
    )
    for submission, record in rows:
        if "protocols" in record:
            # What is hidden must not even order rows. Open results need no check, which would take most of the time.
            shown = shown_record(submission, record).model_dump(mode="json") if submission.split.hidden else record
            lister.add(_facts_of(submission), shown, _fingerprint(submission))


def _facts_of(submission: Submission) -> RowFacts:
    published = submission.published or submission.created
    metadata = public_metadata(submission.details)
    return RowFacts(submission.id, submission.team.name, metadata, published, submission.flag)


def _fingerprint(submission: Submission) -> str:
    facts = _facts_of(submission)
    split, final = submission.split, submission.final_at is not None
    known = (facts.team, facts.metadata, facts.published, facts.flag)
    values = (*known, split.key, split.hidden, final, submission.generation)
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=16).hexdigest()


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))


def _unlist(session: Session, entry_ids: Sequence[str]) -> None:
    for ids in _parts(entry_ids):
        rows = dict(session.execute(select(ListedRow.id, ListedRow.split).where(ListedRow.entry_id.in_(ids))).all())
        if not rows:
            continue
        tables = select(ListedTable.id).where(ListedTable.split.in_(list(set(rows.values()))))
        columns = select(ListedColumn.id).where(ListedColumn.table_id.in_(tables))
        scores = delete(ListedScore).where(ListedScore.column_id.in_(columns), ListedScore.row_id.in_(list(rows)))
        session.execute(scores.execution_options(synchronize_session=False))
        session.execute(delete(ListedRow).where(ListedRow.id.in_(list(rows))))


def _scores_of(record: Mapping[str, Any]) -> Iterator[tuple[ColumnKey, tuple[float, float | None, float | None]]]:
    for protocol, scored in record["protocols"].items():
        for subset, cells in scored["scores"].items():
            for metric, estimate in cells.items():
                yield (protocol, subset, metric), estimate
