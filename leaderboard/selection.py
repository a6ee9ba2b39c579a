"""Choose, order and mark the rows of the table, in the database. The order is total: score, publication, ID."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session, aliased

from earthreason.metrics.scores import METRICS

from .board import (
    COLUMNS,
    DATE,
    MODEL,
    SIZE,
    BoardCell,
    BoardQuery,
    BoardRow,
    BoardTable,
    RowFacts,
)
from .records import ScoreEstimate, Subset
from .tables import ListedColumn, ListedRow, ListedScore, ListedTable

_NO_DAY = "9999-99-99"
_AT_ONCE = 200
_NARROW = 0.02
"""Shortest scale of a column's interval bars."""


@dataclass(frozen=True)
class ColumnFacts:
    """What the marks in a column depend on: how many rows have a score, the best one, and the ends of the intervals."""

    number: int
    rows: int
    best: ScoreEstimate
    scale: tuple[float, float]


@dataclass(frozen=True)
class Selection:
    """The rows that a query selects, in order, by their numbers in the listing; and what their marks depend on.

    Attributes:
        rows: row numbers.
        places: rank of each by the ranking score, from 1; 0 for rows that lack it.
        columns: the columns that a row has a score in.
    """

    query: BoardQuery
    rows: array[int]
    places: array[int]
    columns: Mapping[str, ColumnFacts]
    subsets: Sequence[Subset]
    metrics: Sequence[str]


def canonical(session: Session, query: BoardQuery) -> BoardQuery:
    """Move `since` to the first day on which a row was published, so that few of all dates are different queries."""
    if not query.since:
        return query
    first = select(func.min(ListedRow.day)).where(ListedRow.split == query.split, ListedRow.day >= query.since)
    return replace(query, since=session.scalar(first) or _NO_DAY)


def select_rows(session: Session, query: BoardQuery) -> Selection:
    """Choose and order the rows of a query."""
    numbers = _numbers(session, query)
    rows = array("l", session.scalars(_by_score(query, numbers)))
    shown = [metric for metric in dict.fromkeys((*COLUMNS, query.ranking)) if metric in numbers]
    columns = _columns(session, query, {metric: numbers[metric] for metric in shown})
    # The statements may see rows come and go between them, so that no count is taken for granted.
    with_score = min(len(rows), columns[query.ranking].rows) if query.ranking in columns else 0
    places = array("l", range(1, with_score + 1)) + array("l", [0]) * (len(rows) - with_score)
    if query.sort not in METRICS:
        by_row = dict(zip(rows, places, strict=True))
        rows = array("l", (row for row in session.scalars(_by_fact(query)) if row in by_row))
        places = array("l", (by_row[row] for row in rows))
    elif query.ascending:  # rows without the score stay at the end
        rows = rows[:with_score][::-1] + rows[with_score:]
        places = places[:with_score][::-1] + places[with_score:]
    return Selection(query, rows, places, columns, _subsets(session, query), list_metrics(session, query))


def read_table(session: Session, selection: Selection, start: int = 0, stop: int | None = None) -> BoardTable:
    """Read a part of the selected rows; those that have left the listing since are left out."""
    return BoardTable(
        query=selection.query,
        columns=tuple(selection.columns),
        rows=list(_read_rows(session, selection, start, len(selection.rows) if stop is None else stop)),
        total=len(selection.rows),
        start=start,
        subsets=selection.subsets,
        scales={metric: column.scale for metric, column in selection.columns.items()},
        metrics=selection.metrics,
    )


def _filters(query: BoardQuery) -> Iterator[ColumnElement[bool]]:
    if query.training:
        yield ListedRow.training == query.training
    if query.since:
        yield ListedRow.day >= query.since
    if query.search:
        yield ListedRow.searched.contains(query.search, autoescape=True)
    if query.largest is not None:
        yield ListedRow.parameters <= query.largest


def _numbers(session: Session, query: BoardQuery) -> dict[str, int]:
    """Find the columns of a table by metric."""
    found = (
        select(ListedColumn.metric, ListedColumn.id)
        .join(ListedTable, ListedTable.id == ListedColumn.table_id)
        .where(
            ListedTable.split == query.split,
            ListedTable.protocol == query.protocol,
            ListedTable.subset == query.subset,
        )
    )
    return dict(session.execute(found).all())


def _by_score(query: BoardQuery, numbers: Mapping[str, int]) -> Select[int]:
    """Order the rows that have any score in the table from best to worst; those without the ranking score come last."""
    other = aliased(ListedScore)
    has_any = select(1).where(other.row_id == ListedRow.id, other.column_id.in_(numbers.values())).exists()
    column = numbers.get(query.ranking, -1)
    score = ListedScore.value
    first = score if METRICS[query.ranking].lower_is_better else score.desc()
    return (
        select(ListedRow.id)
        .outerjoin(ListedScore, and_(ListedScore.column_id == column, ListedScore.row_id == ListedRow.id))
        .where(ListedRow.split == query.split, score.is_not(None) | has_any, *_filters(query))
        .order_by(first.nulls_last(), ListedRow.published, ListedRow.entry_id)
    )


def _by_fact(query: BoardQuery) -> Select[int]:
    """Order rows by another fact than a score; equal ones by publication and ID."""
    key = {DATE: ListedRow.published, MODEL: ListedRow.name, SIZE: ListedRow.parameters}[query.sort]
    order = key.asc() if query.ascending else key.desc()
    chosen = select(ListedRow.id).where(ListedRow.split == query.split, *_filters(query))
    return chosen.order_by(order.nulls_last(), ListedRow.published, ListedRow.entry_id)


def _columns(session: Session, query: BoardQuery, numbers: Mapping[str, int]) -> dict[str, ColumnFacts]:
    value, low, high = ListedScore.value, ListedScore.low, ListedScore.high
    ends = select(
        ListedScore.column_id,
        func.count(ListedScore.row_id),
        func.min(value),
        func.max(value),
        func.min(func.coalesce(low, value)),
        func.max(func.coalesce(high, value)),
    ).where(ListedScore.column_id.in_(numbers.values()))
    if query.filtered:
        ends = ends.join(ListedRow, ListedRow.id == ListedScore.row_id).where(*_filters(query))
    found = {facts[0]: facts for facts in session.execute(ends.group_by(ListedScore.column_id))}
    columns = {}
    for metric, number in numbers.items():
        if number in found:
            _, rows, least, most, lowest, highest = found[number]
            best = _best(session, query, number, least if METRICS[metric].lower_is_better else most)
            if best is not None:
                scale = _scale(min(least, lowest), max(most, highest))
                columns[metric] = ColumnFacts(number, rows, best, scale)
    return columns


def _best(session: Session, query: BoardQuery, column: int, value: float) -> ScoreEstimate | None:
    """Find the best score of a column with its interval; of equal ones, that of the row that ranks first."""
    chosen = (
        select(ListedScore.value, ListedScore.low, ListedScore.high)
        .join(ListedRow, ListedRow.id == ListedScore.row_id)
        .where(ListedScore.column_id == column, ListedScore.value == value, *_filters(query))
        .order_by(ListedRow.published, ListedRow.entry_id)
        .limit(1)
    )
    found = session.execute(chosen).first()
    return None if found is None else ScoreEstimate(*found)


def _scale(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high - low > _NARROW else (low - _NARROW / 2, high + _NARROW / 2)


def list_metrics(session: Session, query: BoardQuery) -> list[str]:
    """List the scores by which a table can be sorted."""
    numbers = _numbers(session, query)
    return [metric for metric in METRICS if metric in numbers]


def _subsets(session: Session, query: BoardQuery) -> list[Subset]:
    """List every subset that a row has under a protocol, in the order of the results."""
    columns = select(ListedColumn.id).where(ListedColumn.table_id == ListedTable.id)
    used = select(1).where(ListedScore.column_id.in_(columns)).exists()
    tables = (
        select(ListedTable)
        .where(ListedTable.split == query.split, ListedTable.protocol == query.protocol, used)
        .order_by(ListedTable.position, ListedTable.id)
    )
    return [
        Subset(key=table.subset, breakdown=table.breakdown, group=table.group, questions=table.questions)
        for table in session.scalars(tables)
    ]


def _read_rows(session: Session, selection: Selection, start: int, stop: int) -> Iterator[BoardRow]:
    for first in range(start, min(stop, len(selection.rows)), _AT_ONCE):
        part = slice(first, min(first + _AT_ONCE, stop))
        numbers = selection.rows[part].tolist()
        rows = {row.id: row for row in session.scalars(select(ListedRow).where(ListedRow.id.in_(numbers)))}
        cells = _read_cells(session, selection, numbers)
        for number, place in zip(numbers, selection.places[part], strict=True):
            if number in rows:
                yield _row(selection, rows[number], place, cells.get(number, {}))


def _read_cells(session: Session, selection: Selection, numbers: Sequence[int]) -> dict[int, dict[str, ScoreEstimate]]:
    names = {column.number: metric for metric, column in selection.columns.items()}
    chosen = select(
        ListedScore.row_id, ListedScore.column_id, ListedScore.value, ListedScore.low, ListedScore.high
    ).where(ListedScore.column_id.in_(names), ListedScore.row_id.in_(numbers))
    cells: dict[int, dict[str, ScoreEstimate]] = {}
    for row, column, value, low, high in session.execute(chosen):
        cells.setdefault(row, {})[names[column]] = ScoreEstimate(value, low, high)
    return cells


def _row(selection: Selection, row: ListedRow, place: int, estimates: Mapping[str, ScoreEstimate]) -> BoardRow:
    cells = {
        metric: _mark(estimates[metric], column.best)
        for metric, column in selection.columns.items()
        if metric in estimates
    }
    ranking = cells.get(selection.query.ranking)
    return BoardRow(
        facts=RowFacts(row.entry_id, row.team, row.details, row.published, row.flag),
        place=place or None,
        cells=cells,
        tied=ranking is not None and ranking.tied,
        resamples=row.resamples,
        decimals=row.decimals,
        earthreason=row.earthreason,
        dataset_sha256=row.dataset_sha256,
        predictions_sha256=row.predictions_sha256,
    )


def _mark(estimate: ScoreEstimate, best: ScoreEstimate) -> BoardCell:
    is_best = estimate.value == best.value
    return BoardCell(estimate, is_best, not is_best and estimate.overlaps(best))
