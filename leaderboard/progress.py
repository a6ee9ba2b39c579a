"""How a split's scores grew over time, and with the number of parameters; made of the scores that are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from earthreason.metrics.scores import METRICS

from .records import ALL
from .tables import ListedColumn, ListedRow, ListedScore, ListedTable

MOST_POINTS = 500


@dataclass(frozen=True)
class Point:
    """A row in a plot. `x` is the time of publication in Unix seconds, or the number of parameters in millions."""

    entry_id: str
    model: str
    x: float
    score: float
    leads: bool


@dataclass(frozen=True)
class Progress:
    """The points of both plots; `rows` is how many rows have the score."""

    rows: int
    over_time: Sequence[Point]
    by_size: Sequence[Point]


def read_progress(session: Session, split: str, protocol: str, metric: str) -> Progress:
    """Read the rows that led when they were published, those that lead for their size, and the best of the others."""
    found = (
        select(ListedRow.entry_id, ListedRow.details, ListedRow.published, ListedRow.parameters, ListedScore.value)
        .join(ListedScore, ListedScore.row_id == ListedRow.id)
        .join(ListedColumn, ListedColumn.id == ListedScore.column_id)
        .join(ListedTable, ListedTable.id == ListedColumn.table_id)
        .where(
            ListedTable.split == split,
            ListedTable.protocol == protocol,
            ListedTable.subset == ALL,
            ListedColumn.metric == metric,
        )
        .order_by(ListedRow.published, ListedRow.entry_id)
    )
    rows = session.execute(found).all()
    falls = METRICS[metric].lower_is_better
    times = [(row.entry_id, row.details["model"], row.published, row.value) for row in rows]
    sized = [(row.entry_id, row.details["model"], row.parameters, row.value) for row in rows if row.parameters]
    sized.sort(key=lambda row: (row[2], row[3] if falls else -row[3]))
    return Progress(len(rows), _mark(times, falls), _mark(sized, falls))


def _mark(rows: Iterable[tuple[str, str, float, float]], falls: bool) -> list[Point]:
    """Mark the rows that are better than all before them; keep these, and the best of the others."""
    points, best = [], None
    for entry_id, model, x, score in rows:
        leads = best is None or (score < best if falls else score > best)
        best = score if leads else best
        points.append(Point(entry_id, model, x, score, leads))
    others = sorted((one for one in points if not one.leads), key=lambda one: one.score, reverse=not falls)
    kept = {one.entry_id for one in others[: max(0, MOST_POINTS - sum(one.leads for one in points))]}
    return [one for one in points if one.leads or one.entry_id in kept]
