"""Score while predicting: add questions one by one or in parts, merge ranks, compute at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.masks.grids import Grid
from earthreason.masks.pairs import TruthTable, count_pairs
from earthreason.metrics.counts import GridCounts, Key, RegionCounts, join_tables, name_key, table_of_pairs
from earthreason.metrics.inputs import MaskLike, as_rle
from earthreason.metrics.protocols import DEFAULT_PROTOCOL, Protocol, get_protocol
from earthreason.metrics.scores import Scored, compute_scores, terms_of
from earthreason.metrics.statistics import Interval, bootstrap_intervals

_FORMAT = "earthreason-counts/1"


class RegionAccumulator:
    """Region counts of the questions seen so far, on one or more grids.

    The result does not depend on the order of updates or on how they were split over accumulators. A question that was
    added twice with the same counts, as distributed samplers do to fill the last batch, counts once.

    >>> import numpy as np
    >>> truth = np.eye(4, dtype=bool)
    >>> judge = RegionAccumulator(["native"])
    >>> judge.update("a", truth, truth)
    >>> judge.update("b", None, truth)
    >>> judge.compute()["gIoU"]
    0.5
    """

    def __init__(self, protocols: Sequence[str | Protocol] = (DEFAULT_PROTOCOL,)) -> None:
        """Count on the grids of `protocols`; the first is what `compute` uses by default."""
        self.protocols = tuple(get_protocol(p) if isinstance(p, str) else p for p in protocols)
        if not self.protocols:
            raise EarthReasonError("name at least one protocol to accumulate for")
        self.grids: tuple[Grid, ...] = tuple(dict.fromkeys(p.grid for p in self.protocols))
        self._parts: list[GridCounts] = []

    def __len__(self) -> int:
        """How many questions were added, repeats included."""
        return sum(len(part[self.grids[0]]) for part in self._parts)

    def update(self, sample_id: str, prediction: MaskLike | None, truth: MaskLike, question_index: int = 0) -> None:
        """Add one question.

        Args:
            sample_id: of the image.
            prediction: (height, width) array, picture or RLE at the truth's size; None for "no target".
            truth: the mask to find; all zero where there is nothing.
            question_index: which question about the image.

        Raises:
            RLEError: one of the two is no mask.
            EarthReasonError: the sizes differ.
        """
        target = as_rle(truth)
        answer = None if prediction is None else as_rle(prediction)
        if answer is not None and answer["size"] != target["size"]:
            raise EarthReasonError(
                f"{name_key((sample_id, question_index))}: the prediction is {answer['size'][0]}x{answer['size'][1]} "
                f"but the ground truth is {target['size'][0]}x{target['size'][1]} (height x width); they must match"
            )
        table = TruthTable([target], self.grids)
        found = count_pairs([answer], [0], table)
        self._parts.append(table_of_pairs([(sample_id, question_index)], found, [0], table))

    def merge(self, other: RegionAccumulator) -> RegionAccumulator:
        """Add everything another accumulator has seen; returns self.

        Raises:
            EarthReasonError: the other one counts on other grids.
        """
        if set(other.grids) != set(self.grids):
            names = [", ".join(grid.name for grid in judge.grids) for judge in (self, other)]
            raise EarthReasonError(f"cannot merge counts on {names[1]} into counts on {names[0]}: use the same grids")
        self._parts.extend(other._parts)
        return self

    def tables(self) -> GridCounts:
        """All counts by grid, sorted by key, without repeats.

        Raises:
            EarthReasonError: a question was added twice with different counts.
        """
        if not self._parts:
            empty = TruthTable([], self.grids)
            return table_of_pairs([], count_pairs([], [], empty), [], empty)
        joined = join_tables(self._parts, self.grids)
        return {grid: without_repeats(table) for grid, table in joined.items()}

    def compute(self, protocol: str | Protocol | None = None) -> dict[str, float | None]:
        """Scores as fractions, by name, of the questions seen; None where undefined."""
        return compute_scores(terms_of(self._scored(protocol)))

    def intervals(
        self, protocol: str | Protocol | None = None, resamples: int = 10_000, seed: int = 0
    ) -> dict[str, Interval]:
        """95 % bootstrap intervals over images of the defined scores."""
        scored = self._scored(protocol)
        terms = {name: term for name, term in terms_of(scored).items() if term.ratio() is not None}
        return bootstrap_intervals(terms, scored.counts.sample_id, resamples, seed)

    def _scored(self, protocol: str | Protocol | None) -> Scored:
        rules = self.protocols[0] if protocol is None else protocol
        rules = get_protocol(rules) if isinstance(rules, str) else rules
        if rules.grid not in self.grids:
            raise EarthReasonError(
                f"protocol {rules.name} compares on {rules.grid.name}, which was not counted; name it when the "
                "accumulator is made"
            )
        table = self.tables()[rules.grid]
        # `first` is a choice among the questions that were added; the other policies take what they are given.
        rows = table.question_index == 0 if rules.questions == "first" else np.ones(len(table), bool)
        return Scored(table.select(rows), rules)

    def to_dict(self) -> dict[str, Any]:
        """The state as JSON values, for files and for sending between machines."""
        return {
            "format": _FORMAT,
            "protocols": [p.name for p in self.protocols],
            "tables": {
                grid.name: {name: column.tolist() for name, column in _columns(table).items()}
                for grid, table in self.tables().items()
            },
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> RegionAccumulator:
        """Restore what `to_dict` gave.

        Raises:
            DataFormatError: it is something else.
        """
        if state.get("format") != _FORMAT:
            raise DataFormatError(f"not a state of RegionAccumulator: its format is {state.get('format')!r}")
        judge = cls(state["protocols"])
        part = {Grid.parse(name): _table(columns) for name, columns in state["tables"].items()}
        judge._parts = [part]
        return judge

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict())


def _columns(table: RegionCounts) -> dict[str, np.ndarray]:
    return {column.name: getattr(table, column.name) for column in fields(table)}


def _table(columns: Mapping[str, list[Any]]) -> RegionCounts:
    kinds = {"sample_id": object, "truth_empty": bool, "prediction_empty": bool, "answered": bool}
    return RegionCounts(
        **{c.name: np.array(columns[c.name], kinds.get(c.name, np.int64)) for c in fields(RegionCounts)}
    )


def without_repeats(table: RegionCounts) -> RegionCounts:
    """Drop repeats of a sorted table; they must agree."""
    keys: list[Key] = table.keys()
    repeats = [row for row in range(1, len(keys)) if keys[row] == keys[row - 1]]
    if not repeats:
        return table
    columns = _columns(table)
    for row in repeats:
        if any(column[row] != column[row - 1] for column in columns.values()):
            raise EarthReasonError(f"{name_key(keys[row])} was added twice with different masks; add each once")
    return table.select(np.setdiff1d(np.arange(len(keys)), repeats))
