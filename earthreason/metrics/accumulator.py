"""Scores of predictions that arrive one by one or from several ranks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError, EarthReasonError, RLEError
from earthreason.metrics.arguments import MOST_RESAMPLES, check_whole_number
from earthreason.metrics.counts import Key, RegionCounts, ViewCounts, join_tables, name_key
from earthreason.metrics.packed import Answers, PackedTruth
from earthreason.metrics.protocols import DEFAULT_PROTOCOL, Protocol, View, get_protocol, get_protocols
from earthreason.metrics.references import Reference, References
from earthreason.metrics.scores import Scored, compute_scores, terms_of
from earthreason.metrics.statistics import RESAMPLES, Interval, confidence_intervals
from earthreason.metrics.values import MaskLike, as_rles, question_index_of, sample_id_of, unite_targets
from earthreason.types import RLE

_FORMAT = "earthreason-counts/2"


class RegionAccumulator:
    """Region counts of questions, as one or more protocols need them.

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

    def __init__(self, protocols: str | Protocol | Sequence[str | Protocol] = DEFAULT_PROTOCOL) -> None:
        """Count what `protocols` need; the first one is the default of `compute`."""
        self.protocols = tuple(get_protocols(protocols))
        self.views: tuple[View, ...] = tuple(dict.fromkeys(p.view for p in self.protocols))
        self._parts: list[ViewCounts] = []

    def __len__(self) -> int:
        """Return how many questions were added, repeats included."""
        return sum(int((part[self.views[0]].target_index == 0).sum()) for part in self._parts)

    def update(
        self,
        sample_id: str | int,
        prediction: MaskLike | list[MaskLike] | None,
        truth: MaskLike | list[MaskLike],
        question_index: int = 0,
        *,
        ignore: MaskLike | list[MaskLike] | None = None,
        failed: bool = False,
    ) -> None:
        """Add one question.

        Args:
            sample_id: id of the image.
            prediction: (height, width) array, tensor, picture or RLE at the size of the truth; a list of several, in
                the order of the answer; None for "no target".
            truth: mask of the target, all zero if it is empty; a list if there are several targets.
            question_index: index of the question about the image.
            ignore: pixels that count nowhere, such as ReasonSeg's `ignore` shapes; a list of masks is united.
            failed: whether the model gave no readable answer, which is wrong whatever the target is; `prediction` is
                then None.

        Raises:
            RLEError: the prediction or the truth is not a mask; names the question.
            EarthReasonError: the sizes differ, the id or the index is not one, or a failure has a mask.
        """
        key = sample_id_of(sample_id), question_index_of(question_index)
        if failed and prediction is not None:
            raise EarthReasonError(f"{name_key(key)}: a failure to answer has no mask; pass None as the prediction")
        targets = _encoded(truth, key, "ground truth")
        answers = [] if prediction is None else _encoded(prediction, key, "prediction")
        ignored = [] if ignore is None else _encoded(ignore, key, "ignored region")
        size = targets[0]["size"]
        for name, masks in (("prediction", answers), ("ignored region", ignored)):
            for mask in masks:
                if mask["size"] != size:
                    raise EarthReasonError(
                        f"{name_key(key)}: the {name} is {mask['size'][0]}x{mask['size'][1]} "
                        f"but the ground truth is {size[0]}x{size[1]} (height x width); they must match"
                    )
        target, several = unite_targets(targets)
        reference = Reference(key[0], target, targets=several, ignore=unite_targets(ignored)[0] if ignored else None)
        answer, parts = unite_targets(answers) if answers else (None, ())
        packed = PackedTruth(References([reference], "ground truth"), self.views)
        counted, _ = packed.count(Answers([key[0]], [key[1]], [answer], [parts], [0], [failed]))
        self._parts.append(counted)

    def merge(self, other: RegionAccumulator) -> RegionAccumulator:
        """Add the questions of another accumulator; return self.

        Raises:
            EarthReasonError: the other value is no accumulator, or counts on other grids or by other rules.
        """
        if not isinstance(other, RegionAccumulator):
            raise EarthReasonError(f"only another RegionAccumulator can be merged, not {type(other).__name__}")
        if set(other.views) != set(self.views):
            names = [", ".join(view.name for view in judge.views) for judge in (self, other)]
            raise EarthReasonError(f"cannot merge counts on {names[1]} into counts on {names[0]}: use the same grids")
        self._parts.extend(other._parts)
        return self

    def tables(self) -> ViewCounts:
        """Return all counts by `Protocol.view`, sorted by key, without repeats.

        Raises:
            EarthReasonError: a question was added twice with different counts.
        """
        if not self._parts:
            return PackedTruth(References([], "ground truth"), self.views).count(Answers.of([], []))[0]
        return {view: without_repeats(table) for view, table in join_tables(self._parts).items()}

    def compute(self, protocol: str | Protocol | None = None) -> dict[str, float | None]:
        """Return the scores as fractions, by name; None where undefined.

        Raises:
            UnknownNameError: no protocol has that name.
            EarthReasonError: the protocol was not counted, or a question was added twice with different masks.
        """
        return compute_scores(terms_of(self._scored(protocol)))

    def intervals(
        self, protocol: str | Protocol | None = None, resamples: int = RESAMPLES, seed: int = 0
    ) -> dict[str, Interval]:
        """Return 95 % intervals by name, without scores that are undefined or count too few images.

        Raises:
            UnknownNameError: no protocol has that name.
            EarthReasonError: the protocol was not counted, a question was added twice with different masks, or a
                number is out of range.
        """
        resamples = check_whole_number("resamples", resamples, most=MOST_RESAMPLES)
        seed = check_whole_number("seed", seed)
        scored = self._scored(protocol)
        return confidence_intervals(terms_of(scored), scored.counts.sample_id, resamples, seed)

    def _scored(self, protocol: str | Protocol | None) -> Scored:
        rules = self.protocols[0] if protocol is None else get_protocol(protocol)
        if rules.view not in self.views:
            raise EarthReasonError(
                f"protocol {rules.name} compares on {rules.view.name}, which was not counted; pass it when you "
                "create the accumulator"
            )
        return score_added(self.tables()[rules.view], rules)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON values, for files and other machines."""
        tables = {
            view.name: {name: column.tolist() for name, column in table.columns().items()}
            for view, table in self.tables().items()
        }
        return {"format": _FORMAT, "protocols": [p.name for p in self.protocols], "tables": tables}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> RegionAccumulator:
        """Restore an accumulator from the value of `to_dict`.

        Raises:
            DataFormatError: the value is not one of `to_dict`, or was damaged.
            UnknownNameError: a protocol is not registered here.
        """
        given = state.get("format") if isinstance(state, Mapping) else None
        if not isinstance(given, str) or given != _FORMAT:
            found = repr(given) if isinstance(state, Mapping) else type(state).__name__
            raise DataFormatError(f"not a state of RegionAccumulator: its format is {found}, not {_FORMAT!r}")
        tables: Any = state.get("tables")
        judge = cls(state.get("protocols", ()))
        lacking = [view.name for view in judge.views if not isinstance(tables, Mapping) or view.name not in tables]
        if lacking:
            raise DataFormatError(f"the state of a RegionAccumulator lacks the table {', '.join(lacking)}")
        judge._parts = [{view: RegionCounts.from_columns(tables[view.name]) for view in judge.views}]
        if not all(isinstance(name, str) for part in judge._parts[0].values() for name in part.sample_id):
            raise DataFormatError("the state of a RegionAccumulator has a sample id that is no text; save it again")
        return judge

    def to_json(self) -> str:
        """Return `to_dict` as JSON text."""
        return json.dumps(self.to_dict())


def _encoded(value: MaskLike | list[MaskLike], key: Key, what: str) -> list[RLE]:
    try:
        return as_rles(value)
    except RLEError as error:
        raise RLEError(f"{name_key(key)}: {what}: {error}") from None


def score_added(table: RegionCounts, protocol: Protocol) -> Scored:
    """Apply a protocol to the questions that were added; only the policy `first` leaves out any."""
    return Scored(table.select(table.question_index == 0) if protocol.questions == "first" else table, protocol)


def without_repeats(table: RegionCounts) -> RegionCounts:
    """Drop the repeated rows of a sorted table.

    Raises:
        EarthReasonError: two rows of a question differ.
    """
    keys = table.rows()
    repeats = [row for row in range(1, len(keys)) if keys[row] == keys[row - 1]]
    if not repeats:
        return table
    for row in repeats:
        if any(column[row] != column[row - 1] for column in table.columns().values()):
            raise EarthReasonError(f"{name_key(keys[row][:2])} was added twice with different masks; add each once")
    return table.select(np.setdiff1d(np.arange(len(keys)), repeats))
