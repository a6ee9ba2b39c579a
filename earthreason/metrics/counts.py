"""Region counts: the numbers of grid pixels that two masks cover and share, for every question or mask.

All scores are computed from these tables of integers. One pass over the masks therefore serves every protocol, and the
tables of threads, ranks or machines can be concatenated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError
from earthreason.metrics.protocols import View

Key = tuple[str, int]
"""Sample id and question index."""


@dataclass(frozen=True)
class RegionCounts:
    """One row per question, or per target of a question, on one grid; all columns have n elements.

    Whole numbers are int64; results of `evaluate_stream` may have int32, and read-only columns.

    Attributes:
        sample_id: sample ids, object array of str; of `evaluate_stream` an array of `numpy.dtypes.StringDType`.
        question_index: indices of the questions about a sample, int64.
        target_index: indices of the targets of a question, int64; 0 where the question has one row.
        intersection, prediction_area, truth_area: pixels on the grid that count, int64.
        grid_area: number of all pixels of the grid, int64.
        box_intersection, box_union: pixels of the masks' bounding boxes at the masks' own size, int64.
        truth_empty: whether the target has no pixel at its own size, bool.
        prediction_empty: whether the prediction is null or has no pixel at its own size that counts, bool.
        answered: whether there is a prediction, bool; missing ones are scored as empty.
        failed: whether the prediction is a failure to answer, bool, which is wrong whatever the target is.
    """

    sample_id: np.ndarray
    question_index: np.ndarray
    target_index: np.ndarray
    intersection: np.ndarray
    prediction_area: np.ndarray
    truth_area: np.ndarray
    grid_area: np.ndarray
    box_intersection: np.ndarray
    box_union: np.ndarray
    truth_empty: np.ndarray
    prediction_empty: np.ndarray
    answered: np.ndarray
    failed: np.ndarray

    def __len__(self) -> int:
        return len(self.sample_id)

    @property
    def union(self) -> np.ndarray:
        """Pixels on the grid that either mask covers and that count, (n,) int64."""
        return self.prediction_area + self.truth_area - self.intersection

    def keys(self) -> list[Key]:
        """Return the sample id and question index of every row."""
        return list(zip(self.sample_id.tolist(), self.question_index.tolist(), strict=True))

    def each_key(self) -> Iterator[Key]:
        """Yield the sample id and question index of every row."""
        return zip(self.sample_id, map(int, self.question_index), strict=True)

    def rows(self) -> list[tuple[str, int, int]]:
        """Return the sample id, question index and target index of every row, in the order of the table.

        No two rows of a result are equal; a question that was added twice to an accumulator has two equal rows.
        """
        columns = (self.sample_id, self.question_index, self.target_index)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def select(self, rows: np.ndarray) -> RegionCounts:
        """Return some of the rows.

        Args:
            rows: (n,) bool mask, or an integer array of row numbers, in the order to return them.
        """
        count = len(self.sample_id[rows])

        def pick(column: np.ndarray) -> np.ndarray:
            return np.broadcast_to(column[0], count) if len(column) and column.strides == (0,) else column[rows]

        return RegionCounts(**{name: pick(column) for name, column in self.columns().items()})

    def columns(self) -> dict[str, np.ndarray]:
        """Return the columns by name, each (n,); the class states their dtypes."""
        return {column.name: getattr(self, column.name) for column in fields(self)}

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any]) -> RegionCounts:
        """Make a table of columns in any type that converts to the declared one.

        By default, `target_index` is 0 and `failed` false.

        Args:
            columns: (n,) arrays or lists by name; all have the same n.

        Raises:
            DataFormatError: a column is missing or does not convert, or the lengths differ.
        """
        try:
            zeros = np.zeros(len(columns["sample_id"]), np.int64)
            columns = {"target_index": zeros, "failed": zeros, **columns}
            table = cls(**{column.name: _as_column(column.name, columns[column.name]) for column in fields(cls)})
        except KeyError as error:
            raise DataFormatError(f"a table of counts needs the column {error}") from None
        except (TypeError, ValueError, OverflowError) as error:
            raise DataFormatError(f"a table of counts has a column of another type ({error})") from None
        if any(len(column) != len(table) for column in table.columns().values()):
            raise DataFormatError("the columns of a table of counts have different lengths")
        areas = table.prediction_area, table.truth_area
        if any((table.intersection > area).any() or (area > table.grid_area).any() for area in areas):
            raise DataFormatError("a table of counts has more common pixels than a mask, or more than the grid")
        return table


def _as_column(name: str, values: Any) -> np.ndarray:
    """Return a column in its type.

    Raises:
        ValueError, TypeError: the values are of another type, negative, or no list.
    """
    if name == "sample_id":
        column = np.empty(len(values), object)
        column[:] = values
        return column
    given = np.asarray(values)
    flag = name in ("truth_empty", "prediction_empty", "answered", "failed")
    if given.ndim != 1 or (
        given.size and (given.dtype.kind not in "biu" or given.min() < 0 or (flag and given.max() > 1))
    ):
        raise ValueError(f"{name}: expected {'true and false' if flag else 'whole numbers of at least 0'}")
    return given.astype(bool if flag else np.int64)


ViewCounts = dict[View, RegionCounts]
"""Counts of the same questions in several views."""


def join_tables(parts: Sequence[ViewCounts]) -> ViewCounts:
    """Concatenate tables of questions and sort the rows by key, so that sums do not depend on the parts."""
    joined: ViewCounts = {}
    shared: dict[tuple[int, ...], np.ndarray] = {}  # views of a unit share columns, and so do their joined tables

    def join(columns: Sequence[np.ndarray], order: np.ndarray) -> np.ndarray:
        key = tuple(map(id, columns))
        if key not in shared:
            shared[key] = np.concatenate(columns)[order]
        return shared[key]

    for view in parts[0]:
        columns = {name: [part[view].columns()[name] for part in parts] for name in parts[0][view].columns()}
        ids = np.unique(np.concatenate(columns["sample_id"]), return_inverse=True)[1]
        keys = (np.concatenate(columns[name]) for name in ("target_index", "question_index"))
        order = np.lexsort((*keys, ids))
        joined[view] = RegionCounts(**{name: join(each, order) for name, each in columns.items()})
    return joined


def name_key(key: Key) -> str:
    """Name a question in messages."""
    return f"sample {key[0]!r}" if key[1] == 0 else f"sample {key[0]!r} question {key[1]}"
