"""The results of one model: the public rows of a team that have one name, on any split."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from earthreason.metrics.protocols import DEFAULT_PROTOCOL
from earthreason.metrics.scores import GIOU
from leaderboard.board import BoardEntry, fold
from leaderboard.records import ALL
from leaderboard.tables import NAME_LENGTH, ListedColumn, ListedRow, ListedScore, ListedTable

MOST_RESULTS = 20


@dataclass(frozen=True)
class ModelResult:
    """A row about a model. `score` is its gIoU as the row shows it; `decimals` as in `ListedRow`."""

    entry_id: str
    split: str
    day: str
    score: float | None
    decimals: int | None


@dataclass(frozen=True)
class ModelResults:
    """The newest results of a model, and how many there are."""

    newest: Sequence[ModelResult]
    total: int


def fold_name(model: str) -> str:
    """Fold the name of a model as the listing does."""
    return fold(model)[:NAME_LENGTH]


def key_of_model(team: str, name: str) -> str:
    """Name a model in the log of changes; `name` is folded. No split has such a name."""
    return f"model {hashlib.blake2b(f'{team} {name}'.encode(), digest_size=16).hexdigest()}"


def results_of_model(session: Session, team: str, model: str) -> ModelResults:
    """Read the newest public results of a model."""
    mine = (ListedRow.team == team, ListedRow.name == fold_name(model))
    headline = (
        select(ListedScore.row_id, ListedScore.value)
        .join(ListedColumn, ListedColumn.id == ListedScore.column_id)
        .join(ListedTable, ListedTable.id == ListedColumn.table_id)
        .where(ListedTable.protocol == DEFAULT_PROTOCOL, ListedTable.subset == ALL, ListedColumn.metric == GIOU.name)
        .subquery()
    )
    found = (
        select(ListedRow.entry_id, ListedRow.split, ListedRow.day, headline.c.value, ListedRow.decimals)
        .outerjoin(headline, headline.c.row_id == ListedRow.id)
        .where(*mine)
        .order_by(ListedRow.published.desc(), ListedRow.entry_id)
        .limit(MOST_RESULTS)
    )
    newest = [ModelResult(*row) for row in session.execute(found)]
    return ModelResults(newest, session.scalar(select(func.count()).select_from(ListedRow).where(*mine)) or 0)


def list_results(entries: Sequence[BoardEntry]) -> ModelResults:
    """List rows about one model, the newest first."""
    newest = sorted(entries, key=lambda entry: (-entry.published, entry.id))[:MOST_RESULTS]
    return ModelResults([_result_of(entry) for entry in newest], len(entries))


def _result_of(entry: BoardEntry) -> ModelResult:
    record = entry.record
    estimate = record.estimate(DEFAULT_PROTOCOL, ALL, GIOU.name)
    return ModelResult(
        entry.id, f"{record.config}/{record.split}", entry.date, estimate and estimate.value, record.decimals
    )
