"""Counts of many batches in little memory: narrow columns, constants stored once, and numbers in place of ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from earthreason.metrics.counts import RegionCounts, ViewCounts
from earthreason.metrics.facts import FactTable

_SMALL = 1 << 30
"""Numbers below this can be added and doubled as int32."""


class CompactTables:
    """Counts of questions about the samples of a fact table, added batch by batch."""

    def __init__(self, facts: FactTable) -> None:
        self._facts = facts
        self._parts: list[ViewCounts] = []

    def add(self, tables: ViewCounts) -> None:
        """Add the counts of a batch; all batches have the same views."""

        def compact(columns: Sequence[np.ndarray]) -> np.ndarray:
            (column,) = columns
            if column.dtype == object:
                return np.fromiter(map(self._facts.number, column), np.int32, len(column))
            return _narrow(column)

        self._parts.append(_map_columns([tables], compact))

    def join(self) -> ViewCounts:
        """Return all counts, sorted by key, with ids, and keep none of them; there must be a batch."""
        parts, self._parts = self._parts, []
        names, joined = self._facts.names(), _map_columns(parts, _concatenate)
        del parts
        rank = self._rank(names)
        finished: dict[int, np.ndarray] = {}  # views of a unit share columns
        orders: dict[int, np.ndarray | None] = {}
        tables: ViewCounts = {}
        for view, table in joined.items():
            numbers = table.sample_id
            if id(numbers) not in orders:
                ids = numbers if rank is None else rank[numbers]
                orders[id(numbers)] = _order(ids, table.question_index, table.target_index)
            order = orders[id(numbers)]
            for column in table.columns().values():
                if id(column) not in finished:
                    placed = column if order is None or column.strides == (0,) else column[order]
                    finished[id(column)] = _named(placed, names) if column is numbers else placed
            tables[view] = RegionCounts(**{name: finished[id(each)] for name, each in table.columns().items()})
        return tables

    def _rank(self, names: np.ndarray) -> np.ndarray | None:
        """Return the rank of the id of each sample; None if the samples are sorted."""
        if self._facts.is_sorted:
            return None
        rank = np.empty(len(names), np.int32)
        rank[np.argsort(names, kind="stable")] = np.arange(len(names), dtype=np.int32)
        return rank


def _named(numbers: np.ndarray, names: np.ndarray) -> np.ndarray:
    return names if np.array_equal(numbers, np.arange(len(names))) else names[numbers]


def _map_columns(parts: Sequence[ViewCounts], function: Callable[[Sequence[np.ndarray]], np.ndarray]) -> ViewCounts:
    """Apply a function to the parts of each column, once if views share it."""
    done: dict[tuple[int, ...], np.ndarray] = {}
    mapped: ViewCounts = {}
    for view in parts[0]:
        columns: dict[str, Any] = {}
        tables = [part[view].columns() for part in parts]
        for name in tables[0]:
            given = [table[name] for table in tables]
            key = tuple(map(id, given))
            if key not in done:
                done[key] = function(given)
            columns[name] = done[key]
        mapped[view] = RegionCounts(**columns)
    return mapped


def _order(ids: np.ndarray, question_index: np.ndarray, target_index: np.ndarray) -> np.ndarray | None:
    """Return the numbers of the rows sorted by key; None if they are sorted."""
    same = ids[1:] == ids[:-1]
    later = (ids[1:] > ids[:-1]) | (same & (question_index[1:] > question_index[:-1]))
    same &= question_index[1:] == question_index[:-1]
    later |= same & (target_index[1:] >= target_index[:-1])
    return None if later.all() else np.lexsort((target_index, question_index, ids))


def _narrow(column: np.ndarray) -> np.ndarray:
    if column.dtype != bool:
        column = column.astype(np.int32 if not column.size or column.max() < _SMALL else np.int64)
    if column.size and (column == column[0]).all():
        return np.broadcast_to(column[0].copy(), column.shape)
    return column.copy()  # what it is a view of is larger


def _concatenate(parts: Sequence[np.ndarray]) -> np.ndarray:
    filled = [part for part in parts if len(part)]
    if not filled:
        return parts[0]
    if all(part.strides == (0,) and part[0] == filled[0][0] for part in filled):
        return np.broadcast_to(filled[0][0].copy(), sum(map(len, filled)))
    return np.concatenate(filled)
