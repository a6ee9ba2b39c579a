"""Scores of sets that do not fit into memory: masks are read, counted and dropped; counts and facts are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, cast

from earthreason.errors import EarthReasonError, PredictionsError
from earthreason.masks.grids import Grid
from earthreason.metrics.arguments import MOST_RESAMPLES, check_missing, check_whole_number
from earthreason.metrics.compact import CompactTables
from earthreason.metrics.counting import fault_of
from earthreason.metrics.counts import Key, ViewCounts, name_key
from earthreason.metrics.evaluate import MissingRule, describe_reading, score_counts
from earthreason.metrics.facts import FactTable
from earthreason.metrics.inputs import NO_SAMPLES
from earthreason.metrics.packed import Answers, PackedTruth
from earthreason.metrics.protocols import Protocol, View, get_protocols
from earthreason.metrics.references import Reference, References
from earthreason.metrics.result import NotScored, Result
from earthreason.predictions.reader import PredictionSource
from earthreason.types import Prediction

_TOGETHER = 2048
"""Predictions that are counted at once."""
_RECENT = 4096
"""Answered samples that stay open for further questions about them."""


def evaluate_stream(
    predictions: PredictionSource,
    references: Iterable[Reference],
    protocols: Sequence[str | Protocol],
    *,
    source: str = "ground truth",
    missing: MissingRule = "error",
    resamples: int = 10_000,
    seed: int = 0,
    workers: int = 1,
) -> list[Result | NotScored]:
    """Score predictions in one pass over both files, without keeping their masks.

    The results are those of `evaluate_protocols`. Memory holds the counts and a few facts of every sample. Masks are
    held as far as the orders of the two differ: not at all where predictions are in the order of the ground truth, as
    `predict` writes them. Results have no masks, so that `write_report` and Boundary IoU need `evaluate`.

    Args:
        predictions: opened predictions, such as `open_predictions("preds.jsonl")`; JSON Lines are read lazily.
        references: ground truth, read once; `stream_references` makes it of rows.
        protocols: names of scoring rules or `Protocol` values, at least one.
        source: name of the ground truth in messages.
        missing: as for `evaluate`.
        resamples: as for `evaluate`; the intervals are those of the first protocol.
        seed: as for `evaluate`.
        workers: as for `evaluate`.

    Raises:
        PredictionsError: the predictions have faults, or those of one sample are far apart; lists all of them.
        EarthReasonError: as `evaluate_protocols`.
    """
    check_missing(missing)
    listed = get_protocols(protocols)
    options: dict[str, Any] = {
        "missing": missing,
        "resamples": check_whole_number("resamples", resamples, most=MOST_RESAMPLES),
        "seed": check_whole_number("seed", seed),
    }
    views = dict.fromkeys(rules.view for rules in listed if rules.view.accepts(predictions.grid))
    counter = _Counter(FactTable(source), iter(references), list(views), predictions.grid, workers)
    tables = counter.count(predictions, missing)
    reading = describe_reading(predictions, "error")
    facts = cast("References", counter.facts)  # scoring reads nothing else, and a mask that is not kept says so
    return score_counts(predictions, facts, listed, tables, options | reading)


@dataclass
class _Counter:
    """Truth that was read and not yet answered, and the counts so far."""

    facts: FactTable
    references: Iterator[Reference]
    views: list[View]
    grid: Grid
    workers: int

    def __post_init__(self) -> None:
        self._open: dict[str, Reference] = {}
        self._recent: OrderedDict[str, Reference] = OrderedDict()
        self._counts = CompactTables(self.facts)
        self._invalid: list[str] = []

    def count(self, predictions: PredictionSource, missing: MissingRule) -> ViewCounts:
        faults: list[str] = []
        given = self._found(predictions.read(faults, self._size_of), faults)
        while batch := list(islice(given, _TOGETHER)):
            self._add(batch)
        while self._read_on():
            pass
        if not self.facts:
            raise EarthReasonError(f"{self.facts.source}: {NO_SAMPLES}")
        if faults or self._invalid:
            raise PredictionsError(predictions.source, faults + self._invalid)
        if missing == "empty":
            unanswered = (
                (Prediction(name, None, question_index=index), reference)
                for name, reference in self._open.items()
                for index in range(reference.question_count)
            )
            while batch := list(islice(unanswered, _TOGETHER)):
                self._add(batch, answered=False)
        self._add([])  # so that there are tables, if without rows
        tables = self._counts.join()
        self._refuse_repeats(tables, predictions.source)
        return tables

    def _read_on(self) -> bool:
        """Read the next sample of the ground truth; return False at its end."""
        reference = next(self.references, None)
        if reference is None:
            return False
        self.facts.add(reference)
        self._open[reference.sample_id] = reference
        return True

    def _size_of(self, sample_id: str) -> tuple[int, int] | None:
        """Return (height, width) of an image, after reading on to it."""
        while sample_id not in self.facts:
            if not self._read_on():
                return None
        return self.facts.size_of(sample_id)

    def _found(self, given: Iterable[Prediction], faults: list[str]) -> Iterator[tuple[Prediction, Reference]]:
        """Yield every sound prediction with its ground truth; append the faults of the others."""
        for prediction in given:
            name = prediction.sample_id
            key = name, prediction.question_index
            if self._size_of(name) is None:
                faults.append(f"{name_key(key)}: not in {self.facts.source}")
                continue
            reference = self._open.pop(name, None) or self._recent.get(name)
            if reference is None:
                faults.append(f"{name_key(key)}: predictions of this sample are far apart; sort the file by sample")
                continue
            self._recent[name] = reference
            if len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
            if fault := fault_of(prediction, self.grid, References([reference], self.facts.source), hint=False):
                faults.append(f"{name_key(key)}: {fault}")
            else:
                # One text for all that name the sample: the prediction's own would be kept by its counts.
                yield replace(prediction, sample_id=reference.sample_id), reference

    def _add(self, batch: list[tuple[Prediction, Reference]], *, answered: bool = True) -> None:
        self._counts.add(self._count_batch(batch, answered=answered))

    def _count_batch(self, batch: list[tuple[Prediction, Reference]], *, answered: bool = True) -> ViewCounts:
        truth = References({r.sample_id: r for _, r in batch}.values(), self.facts.source)
        numbers = {name: number for number, name in enumerate(truth)}
        answers = Answers.of([p for p, _ in batch], [numbers[p.sample_id] for p, _ in batch])
        packed = PackedTruth(truth, self.views, self.grid)
        tables, broken = packed.count(answers, answered=answered, threads=self.workers)
        self._invalid += broken
        return tables

    def _refuse_repeats(self, tables: ViewCounts, source: str) -> None:
        table = next(iter(tables.values()))
        same = (table.sample_id[1:] == table.sample_id[:-1]) & (table.question_index[1:] == table.question_index[:-1])
        same &= table.target_index[1:] == table.target_index[:-1]
        if same.any():
            repeated: list[Key] = list(dict.fromkeys(table.select(same.nonzero()[0]).keys()))
            raise PredictionsError(source, [f"{name_key(key)}: predicted more than once; keep one" for key in repeated])
