"""The results of one model: the public rows of a team that have one name, on any split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from earthreason.metrics.scores import GIOU

from .board import BoardEntry
from .listing import fold_name
from .records import ALL
from .splits import main_protocols
from .tables import ListedColumn, ListedRow, ListedScore, ListedTable

MOST_RESULTS = 20


@dataclass(frozen=True)
class ModelResult:
    """A row about a model.

    Attributes:
        score: gIoU under the split's main protocol, as the row shows it.
        decimals: decimals to which it is rounded; None if it is complete.
    """

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


def results_of_model(session: Session, team: str, model: str) -> ModelResults:
    """Read the newest public results of a model."""
    mine = (ListedRow.team == team, ListedRow.name == fold_name(model))
    ranked = tuple_(ListedTable.split, ListedTable.protocol).in_(list(main_protocols(session).items()))
    headline = (
        select(ListedScore.row_id, ListedScore.value)
        .join(ListedColumn, ListedColumn.id == ListedScore.column_id)
        .join(ListedTable, ListedTable.id == ListedColumn.table_id)
        .where(ranked, ListedTable.subset == ALL, ListedColumn.metric == GIOU.name)
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
    estimate = record.estimate(record.main_protocol, ALL, GIOU.name)
    return ModelResult(entry.id, record.split_key, entry.date, estimate and estimate.value, record.decimals)
