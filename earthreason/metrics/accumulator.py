"""Scores of predictions that arrive one by one or from several ranks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.masks.grids import Grid
from earthreason.masks.pairs import TruthTable, count_pairs
from earthreason.metrics.counts import GridCounts, Key, RegionCounts, join_tables, name_key, table_of_pairs
from earthreason.metrics.inputs import MaskLike, as_rle
from earthreason.metrics.protocols import DEFAULT_PROTOCOL, Protocol, get_protocol
from earthreason.metrics.scores import Scored, compute_scores, terms_of
from earthreason.metrics.statistics import RESAMPLES, Interval, confidence_intervals

_FORMAT = "earthreason-counts/1"


class RegionAccumulator:
    """Region counts of questions, on one or more grids.

    The result does not depend on the order of the updates or on how they were divided among accumulators. A question
    that was added twice with the same counts, as distributed samplers do to fill the last batch, counts once.

    >>> import numpy as np
    >>> truth = np.eye(4, dtype=bool)
    >>> judge = RegionAccumulator(["native"])
    >>> judge.update("a", truth, truth)
    >>> judge.update("b", None, truth)
    >>> judge.compute()["gIoU"]
    0.5
    """

    def __init__(self, protocols: Sequence[str | Protocol] = (DEFAULT_PROTOCOL,)) -> None:
        """Count on the grids of `protocols`; the first protocol is the default of `compute`."""
        self.protocols = tuple(map(get_protocol, protocols))
        if not self.protocols:
            raise EarthReasonError("pass at least one protocol")
        self.grids: tuple[Grid, ...] = tuple(dict.fromkeys(p.grid for p in self.protocols))
        self._parts: list[GridCounts] = []

    def __len__(self) -> int:
        """Return how many questions were added, repeats included."""
        return sum(len(part[self.grids[0]]) for part in self._parts)

    def update(self, sample_id: str, prediction: MaskLike | None, truth: MaskLike, question_index: int = 0) -> None:
        """Add one question.

        Args:
            sample_id: id of the image.
            prediction: (height, width) array, picture or RLE at the size of the truth; None for "no target".
            truth: mask of the target; all zero if it is empty.
            question_index: index of the question about the image.

        Raises:
            RLEError: the prediction or the truth is not a mask.
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
        counted = count_pairs([answer], [0], table)
        self._parts.append(table_of_pairs([(sample_id, question_index)], counted, [0], table))

    def merge(self, other: RegionAccumulator) -> RegionAccumulator:
        """Add the questions of another accumulator; return self.

        Raises:
            EarthReasonError: the other accumulator counts on other grids.
        """
        if set(other.grids) != set(self.grids):
            names = [", ".join(grid.name for grid in judge.grids) for judge in (self, other)]
            raise EarthReasonError(f"cannot merge counts on {names[1]} into counts on {names[0]}: use the same grids")
        self._parts.extend(other._parts)
        return self

    def tables(self) -> GridCounts:
        """Return all counts by grid, sorted by key, without repeats.

        Raises:
            EarthReasonError: a question was added twice with different counts.
        """
        if not self._parts:
            empty = TruthTable([], self.grids)
            return table_of_pairs([], count_pairs([], [], empty), [], empty)
        return {grid: without_repeats(table) for grid, table in join_tables(self._parts).items()}

    def compute(self, protocol: str | Protocol | None = None) -> dict[str, float | None]:
        """Return the scores as fractions, by name; None where undefined."""
        return compute_scores(terms_of(self._scored(protocol)))

    def intervals(
        self, protocol: str | Protocol | None = None, resamples: int = RESAMPLES, seed: int = 0
    ) -> dict[str, Interval]:
        """Return 95 % intervals by name, without scores that are undefined or have too few cases."""
        scored = self._scored(protocol)
        return confidence_intervals(terms_of(scored), scored.counts.sample_id, resamples, seed)

    def _scored(self, protocol: str | Protocol | None) -> Scored:
        rules = self.protocols[0] if protocol is None else get_protocol(protocol)
        if rules.grid not in self.grids:
            raise EarthReasonError(
                f"protocol {rules.name} compares on {rules.grid.name}, which was not counted; pass it when you "
                "create the accumulator"
            )
        return score_added(self.tables()[rules.grid], rules)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON values, for files and other machines."""
        tables = {
            grid.name: {name: column.tolist() for name, column in table.columns().items()}
            for grid, table in self.tables().items()
        }
        return {"format": _FORMAT, "protocols": [p.name for p in self.protocols], "tables": tables}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> RegionAccumulator:
        """Restore an accumulator from the value of `to_dict`.

        Raises:
            DataFormatError: the value is not one of `to_dict`.
        """
        if state.get("format") != _FORMAT:
            raise DataFormatError(f"not a state of RegionAccumulator: its format is {state.get('format')!r}")
        judge = cls(state["protocols"])
        judge._parts = [{Grid.parse(name): RegionCounts.from_columns(table) for name, table in state["tables"].items()}]
        return judge

    def to_json(self) -> str:
        """Return `to_dict` as JSON text."""
        return json.dumps(self.to_dict())


def score_added(table: RegionCounts, protocol: Protocol) -> Scored:
    """Apply a protocol to the questions that were added; only the policy `first` leaves out any."""
    return Scored(table.select(table.question_index == 0) if protocol.questions == "first" else table, protocol)


def without_repeats(table: RegionCounts) -> RegionCounts:
    """Drop the repeated rows of a sorted table.

    Raises:
        EarthReasonError: two rows of a question differ.
    """
    keys: list[Key] = table.keys()
    repeats = [row for row in range(1, len(keys)) if keys[row] == keys[row - 1]]
    if not repeats:
        return table
    for row in repeats:
        if any(column[row] != column[row - 1] for column in table.columns().values()):
            raise EarthReasonError(f"{name_key(keys[row])} was added twice with different masks; add each once")
    return table.select(np.setdiff1d(np.arange(len(keys)), repeats))
