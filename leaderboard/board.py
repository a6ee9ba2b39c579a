"""The board's table as values: choose, order and mark rows. Knows neither the database nor HTML."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from earthreason.errors import UnknownNameError
from earthreason.metrics.protocols import PROTOCOLS, SEGEARTH_R1
from earthreason.metrics.scores import GIOU, HEADLINE, METRICS
from leaderboard.records import ALL, TRAINING_TITLES, ResultRecord, ScoreEstimate, Subset

COLUMNS = HEADLINE
"""Scores shown in the table if a subset has them."""
DEFAULT_SORT = GIOU.name
DATE, MODEL = "date", "model"
SORTS = (*COLUMNS, DATE, MODEL)


@dataclass(frozen=True)
class BoardEntry:
    """A public row, from the database or from a results repository."""

    id: str
    team: str
    metadata: dict[str, Any]
    record: ResultRecord
    published: float
    flag: str | None = None
    card: dict[str, Any] | None = None

    @property
    def model(self) -> str:
        return str(self.metadata["model"])

    @property
    def date(self) -> str:
        return datetime.fromtimestamp(self.published, UTC).strftime("%Y-%m-%d")


@dataclass(frozen=True)
class BoardQuery:
    """Which rows of the table to show, and in which order."""

    split: str
    protocol: str = SEGEARTH_R1.name
    subset: str = ALL
    training: str = ""
    since: str = ""
    sort: str = DEFAULT_SORT
    ascending: bool = False

    def with_(self, **changes: Any) -> BoardQuery:
        """Copy the query with changes; another protocol resets the subset to all questions."""
        if "protocol" in changes and changes["protocol"] != self.protocol:
            changes.setdefault("subset", ALL)
        return replace(self, **changes)

    def sorted_by(self, column: str) -> BoardQuery:
        """Sort by a column: names from A to Z, all else from best or newest. The same column again reverses it."""
        return self.with_(sort=column, ascending=not self.ascending if column == self.sort else column == MODEL)


def check_query(query: BoardQuery) -> BoardQuery:
    """Check the names in a query.

    Raises:
        UnknownNameError: the protocol, training or column is unknown.
    """
    if query.protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", query.protocol, PROTOCOLS)
    if query.training not in ("", *TRAINING_TITLES):
        raise UnknownNameError("training", query.training, TRAINING_TITLES)
    if query.sort not in SORTS:
        raise UnknownNameError("column", query.sort, SORTS)
    return query


@dataclass(frozen=True)
class BoardCell:
    """A score in the table; it is tied if its interval overlaps that of the best row."""

    estimate: ScoreEstimate
    best: bool
    tied: bool


@dataclass(frozen=True)
class BoardRow:
    """A row of the table. `place` is its rank by the sorting score, from 1; None if it lacks that score."""

    entry: BoardEntry
    place: int | None
    cells: dict[str, BoardCell]
    tied: bool


@dataclass(frozen=True)
class BoardTable:
    """The table that a query selects."""

    query: BoardQuery
    columns: tuple[str, ...]
    rows: list[BoardRow]
    subsets: list[Subset]
    scales: dict[str, tuple[float, float]]
    """By column: the values at the left and right end of its interval bars."""


def build_table(entries: Sequence[BoardEntry], query: BoardQuery) -> BoardTable:
    """Choose, order and mark the rows."""
    chosen = [entry for entry in entries if _wanted(entry, query)]
    columns = tuple(
        c for c in COLUMNS if any(entry.record.estimate(query.protocol, query.subset, c) for entry in chosen)
    )
    cells = [_cells_of(entry, query, columns) for entry in chosen]
    best = {column: _best(column, cells) for column in columns}
    marked = [{column: _mark(column, estimate, best[column]) for column, estimate in row.items()} for row in cells]
    ranking = query.sort if query.sort in COLUMNS else DEFAULT_SORT
    order = _order(chosen, cells, ranking)
    places = {index: place for place, index in enumerate(order, start=1) if ranking in cells[index]}
    rows = [
        BoardRow(entry, places.get(index), marked[index], ranking in marked[index] and marked[index][ranking].tied)
        for index, entry in enumerate(chosen)
    ]
    shown = _sorted_rows(rows, order, query)
    return BoardTable(query, columns, shown, _subsets(entries, query.protocol), {c: _scale(c, cells) for c in columns})


def _wanted(entry: BoardEntry, query: BoardQuery) -> bool:
    return (
        query.protocol in entry.record.protocols
        and query.subset in entry.record.protocols[query.protocol].scores
        and query.training in ("", entry.metadata["training"])
        and entry.date >= query.since
    )


def _cells_of(entry: BoardEntry, query: BoardQuery, columns: Iterable[str]) -> dict[str, ScoreEstimate]:
    estimates = {column: entry.record.estimate(query.protocol, query.subset, column) for column in columns}
    return {column: estimate for column, estimate in estimates.items() if estimate is not None}


def _goodness(column: str, estimate: ScoreEstimate) -> float:
    return -estimate.value if METRICS[column].lower_is_better else estimate.value


def _best(column: str, cells: Sequence[dict[str, ScoreEstimate]]) -> ScoreEstimate | None:
    shown = [row[column] for row in cells if column in row]
    return max(shown, key=lambda estimate: _goodness(column, estimate)) if shown else None


def _mark(column: str, estimate: ScoreEstimate, best: ScoreEstimate | None) -> BoardCell:
    is_best = best is not None and estimate.value == best.value
    return BoardCell(estimate, is_best, best is not None and not is_best and estimate.overlaps(best))


def _order(chosen: Sequence[BoardEntry], cells: Sequence[dict[str, ScoreEstimate]], ranking: str) -> list[int]:
    """Order row indices from best to worst; of equal scores, the older comes first."""

    def key(index: int) -> tuple[bool, float, float]:
        estimate = cells[index].get(ranking)
        return estimate is None, 0.0 if estimate is None else -_goodness(ranking, estimate), chosen[index].published

    return sorted(range(len(chosen)), key=key)


def _sorted_rows(rows: Sequence[BoardRow], order: Sequence[int], query: BoardQuery) -> list[BoardRow]:
    if query.sort == DATE:
        return sorted(rows, key=lambda row: row.entry.published, reverse=not query.ascending)
    if query.sort == MODEL:
        return sorted(rows, key=lambda row: row.entry.model.lower(), reverse=not query.ascending)
    ranked = [rows[index] for index in order]
    return ranked[::-1] if query.ascending else ranked


def _subsets(entries: Sequence[BoardEntry], protocol: str) -> list[Subset]:
    """List every subset that a row has under a protocol, in the order of the results."""
    by_key = {}
    for entry in entries:
        scored = entry.record.protocols.get(protocol)
        for subset in entry.record.subsets if scored else ():
            if scored and subset.key in scored.scores:
                # The numbers of the record are those of the official protocol, which asks one question an image.
                asked = {"questions": scored.questions} if subset.key == ALL else {}
                by_key[subset.key] = subset.model_copy(update=asked)
    return list(by_key.values())


def _scale(column: str, cells: Sequence[dict[str, ScoreEstimate]]) -> tuple[float, float]:
    ends = [end for row in cells if column in row for end in row[column] if end is not None]
    if not ends:
        return 0.0, 1.0
    low, high = min(ends), max(ends)
    return (low, high) if high - low > 0.02 else (low - 0.01, high + 0.01)


def table_values(table: BoardTable) -> dict[str, Any]:
    """Return the table as JSON values; scores are fractions."""
    query = table.query
    return {
        "split": query.split,
        "protocol": query.protocol,
        "subset": query.subset,
        "rows": [
            {
                "id": row.entry.id,
                "place": row.place,
                "tied_with_best": row.tied,
                "team": row.entry.team,
                **row.entry.metadata,
                "published": row.entry.date,
                "flag": row.entry.flag,
                "scores": {column: list(cell.estimate) for column, cell in row.cells.items()},
                "earthreason": row.entry.record.earthreason,
                "dataset_sha256": row.entry.record.dataset_sha256,
                "predictions_sha256": row.entry.record.predictions_sha256,
            }
            for row in table.rows
        ],
    }


def table_csv(table: BoardTable) -> str:
    """Return the table as CSV; cells that a spreadsheet would run as a formula get an apostrophe in front."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    ends = ("", " low", " high")
    facts = ("training", "backbone", "parameters_millions", "paper", "code", "checkpoint")
    scores = [f"{column}{end}" for column in table.columns for end in ends]
    writer.writerow(["place", "model", "team", *facts, "published", "tied_with_best", "flag", *scores, "id"])
    for row in table.rows:
        numbers: list[float | None] = []
        for column in table.columns:
            numbers += row.cells[column].estimate if column in row.cells else (None, None, None)
        texts = [row.entry.model, row.entry.team, *(row.entry.metadata.get(fact) for fact in facts)]
        after = [row.entry.date, row.tied, row.entry.flag or "", *numbers, row.entry.id]
        writer.writerow([row.place, *map(_harmless, texts), *map(_harmless, after)])
    return buffer.getvalue()


def _harmless(value: Any) -> Any:
    text = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{value}" if text else value
