"""The board's rows, queries and table as values. Knows neither the database nor HTML."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from earthreason.errors import UnknownNameError
from earthreason.metrics.protocols import DEFAULT_PROTOCOL, PROTOCOLS
from earthreason.metrics.scores import GIOU, HEADLINE, METRICS

from .records import ALL, TRAINING_TITLES, ResultRecord, ScoreEstimate, Subset

COLUMNS = HEADLINE
"""Scores shown in the table if a subset has them; any other score is shown while the table is sorted by it."""
DEFAULT_SORT = GIOU.name
DATE, MODEL, SIZE = "date", "model", "size"
SORTS = (*METRICS, DATE, MODEL, SIZE)
_RISING = (MODEL, SIZE)
"""Sorts that start with their lowest value."""
PAGE_ROWS = 50


@dataclass(frozen=True)
class RowFacts:
    """What is known of a public row besides its scores. `published` is in Unix seconds."""

    id: str
    team: str
    metadata: dict[str, Any]
    published: float
    flag: str | None

    @property
    def model(self) -> str:
        return str(self.metadata["model"])

    @property
    def date(self) -> str:
        return datetime.fromtimestamp(self.published, UTC).strftime("%Y-%m-%d")


@dataclass(frozen=True)
class BoardEntry:
    """A public row with its whole result, from the database or from a results repository."""

    id: str
    team: str
    metadata: dict[str, Any]
    record: ResultRecord
    published: float
    flag: str | None = None
    card: dict[str, Any] | None = None

    @property
    def facts(self) -> RowFacts:
        return RowFacts(self.id, self.team, self.metadata, self.published, self.flag)

    @property
    def model(self) -> str:
        return self.facts.model

    @property
    def date(self) -> str:
        return self.facts.date


@dataclass(frozen=True)
class BoardQuery:
    """Which rows of the table to show, and in which order.

    Attributes:
        main_protocol: main protocol of the split; addresses leave it out.
        search: text that the name of the model or of its team contains, in any case.
        largest: most parameters, in millions; rows that do not state theirs are left out.
        ascending: whether the worst score, the oldest row, the first name or the smallest model comes first.
    """

    split: str
    protocol: str = DEFAULT_PROTOCOL
    main_protocol: str = DEFAULT_PROTOCOL
    subset: str = ALL
    training: str = ""
    since: str = ""
    search: str = ""
    largest: float | None = None
    sort: str = DEFAULT_SORT
    ascending: bool = False

    @property
    def filtered(self) -> bool:
        """Whether rows of this split, protocol and subset may be left out."""
        return bool(self.training or self.since or self.search) or self.largest is not None

    @property
    def ranking(self) -> str:
        """The score by which rows have places."""
        return self.sort if self.sort in METRICS else DEFAULT_SORT

    @classmethod
    def of_split(cls, split: str, main_protocol: str) -> BoardQuery:
        """Ask for the first table of a split: all rows under its main protocol."""
        return cls(split, main_protocol, main_protocol)

    def with_(self, **changes: Any) -> BoardQuery:
        """Copy the query with changes; another protocol resets the subset to all questions."""
        if "protocol" in changes and changes["protocol"] != self.protocol:
            changes.setdefault("subset", ALL)
        return replace(self, **changes)

    def sorted_by(self, column: str) -> BoardQuery:
        """Sort by a column: names from A to Z, sizes from the smallest, all else from best or newest.

        The same column again reverses it.
        """
        return self.with_(sort=column, ascending=not self.ascending if column == self.sort else column in _RISING)

    def ranked(self) -> BoardQuery:
        """Copy the query for all questions, from the best row by the ranking score."""
        return self.with_(subset=ALL, sort=self.ranking, ascending=False)

    def whole_split(self) -> BoardQuery:
        """Ask for all rows and questions of the split by the same score and protocol, best first."""
        return BoardQuery(self.split, self.protocol, self.main_protocol, sort=self.ranking)

    def unfiltered(self) -> BoardQuery:
        """Copy the query without filters, for all questions."""
        return self.with_(training="", since="", search="", largest=None, subset=ALL)


def check_query(query: BoardQuery) -> BoardQuery:
    """Check the names in a query and fold its search text; equal queries then compare equal.

    Raises:
        UnknownNameError: the protocol, training or column is unknown.
    """
    if query.protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", query.protocol, PROTOCOLS)
    if query.training not in ("", *TRAINING_TITLES):
        raise UnknownNameError("training", query.training, TRAINING_TITLES)
    if query.sort not in SORTS:
        raise UnknownNameError("column", query.sort, SORTS)
    return replace(query, search=fold(query.search))


def number_text(value: float) -> str:
    """Write a number with all of its digits and no needless ones, so that reading it gives the same number."""
    return repr(float(value)).removesuffix(".0")


def fold(text: str) -> str:
    """Fold a text for searching and sorting: compatible characters, case and runs of spaces become one form."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@dataclass(frozen=True)
class BoardCell:
    """A score in the table; it is tied if its interval overlaps that of the best row."""

    estimate: ScoreEstimate
    best: bool
    tied: bool


@dataclass(frozen=True)
class BoardRow:
    """A row of the table. `place` is its rank by the ranking score, from 1; None if it lacks that score."""

    facts: RowFacts
    place: int | None
    cells: dict[str, BoardCell]
    tied: bool
    resamples: int
    decimals: int | None
    earthreason: str
    dataset_sha256: str
    predictions_sha256: str


class Rounded(Protocol):
    """A row or result; `decimals` is None if its scores are complete."""

    @property
    def decimals(self) -> int | None: ...


def digits(rounded: Rounded) -> int:
    """Return how many decimals its scores have in per cent."""
    return percent_digits(rounded.decimals)


def percent_digits(decimals: int | None) -> int:
    """Return how many decimals fractions of so many decimals have in per cent; None stands for all of them."""
    return 2 if decimals is None else max(0, decimals - 2)


@dataclass(frozen=True)
class BoardTable:
    """A part of the table that a query selects.

    Attributes:
        total: number of rows that the query selects.
        start: number of them before this part.
        scales: by column, the values at the left and right end of its interval bars.
        metrics: every score by which the table can be sorted.
    """

    query: BoardQuery
    columns: tuple[str, ...]
    rows: Sequence[BoardRow]
    total: int
    start: int
    subsets: Sequence[Subset]
    scales: dict[str, tuple[float, float]]
    metrics: Sequence[str]


def row_values(row: BoardRow) -> dict[str, Any]:
    """Return a row as JSON values; scores are fractions."""
    return {
        "id": row.facts.id,
        "place": row.place,
        "tied_with_best": row.tied,
        "team": row.facts.team,
        **row.facts.metadata,
        "published": row.facts.date,
        "flag": row.facts.flag,
        "scores": {column: list(cell.estimate) for column, cell in row.cells.items()},
        "decimals": row.decimals,
        "earthreason": row.earthreason,
        "dataset_sha256": row.dataset_sha256,
        "predictions_sha256": row.predictions_sha256,
    }


def table_values(table: BoardTable, limit: int) -> dict[str, Any]:
    """Return a part of the table of at most `limit` rows as JSON values."""
    query = table.query
    return {
        "split": query.split,
        "protocol": query.protocol,
        "subset": query.subset,
        "sort": query.sort,
        "ascending": query.ascending,
        "total": table.total,
        "limit": limit,
        "offset": table.start,
        "rows": [row_values(row) for row in table.rows],
    }
