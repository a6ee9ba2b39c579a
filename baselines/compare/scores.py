"""Official scores of each model over its seeds, and their differences from the first model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from baselines.compare.suite import Suite, SuiteEntry
from earthreason.data.load import load_dataset
from earthreason.metrics.evaluate import evaluate
from earthreason.metrics.result import Result
from earthreason.metrics.scores import IOU_AND_PRESENCE, Terms, terms_of
from earthreason.metrics.statistics import Difference, Interval, confidence_intervals, paired_differences
from earthreason.metrics.truth import references_of

GROUPINGS = ("reasoning_type", "unseen")
"""Facts by which a comparison also states gIoU."""


@dataclass(frozen=True)
class ScoreRow:
    """Row of the table.

    Attributes:
        entry: model and its measurements.
        results: one result per seed.
        scores: scores by metric over the questions of all seeds, fractions; None where undefined.
        spread: largest minus smallest gIoU over the seeds.
        intervals: 95 % intervals by metric, of those with enough images; all seeds of an image are one case.
        by_group: gIoU by group, by column of the facts: reasoning type, and what training lacks.
        against_first: difference in gIoU from the suite's first model, paired by image; None for that model.
    """

    entry: SuiteEntry
    results: tuple[Result, ...]
    scores: dict[str, float | None]
    spread: float
    intervals: dict[str, Interval]
    by_group: dict[str, dict[str, float]]
    against_first: Difference | None = field(default=None)


def score_suite(suite: Suite, entries: Sequence[SuiteEntry]) -> list[ScoreRow]:
    """Score all models with the official protocol.

    The one file of a trivial model is counted once per seed, so that images have the same weight for all models.
    """
    rows = load_dataset("earthreason", suite.test_config, split=suite.test_split, data_dir=suite.test_data_dir)
    truth = references_of(rows, suite.test_split)
    table: list[ScoreRow] = []
    first: tuple[dict[str, Terms], np.ndarray] | None = None
    for entry in entries:
        results = tuple(evaluate(path, truth, resamples=0) for path in entry.predictions)
        repeated = results * (len(suite.seeds) // len(results))
        terms, images = pooled_terms(repeated)
        first = first or (terms, images)
        giou = [result["gIoU"] or 0.0 for result in results]
        reference, own = {"gIoU": first[0]["gIoU"]}, {"gIoU": terms["gIoU"]}
        row = ScoreRow(
            entry=entry,
            results=results,
            scores={name: terms[name].ratio() for name in IOU_AND_PRESENCE},
            spread=max(giou) - min(giou),
            intervals=confidence_intervals(terms, images),
            by_group={fact: _by_group(results, fact) for fact in GROUPINGS},
            against_first=paired_differences(reference, own, images)["gIoU"] if table else None,
        )
        table.append(row)
    return table


def pooled_terms(results: Sequence[Result]) -> tuple[dict[str, Terms], np.ndarray]:
    """Concatenate the terms of all seeds; return them by metric, and the sample id of each."""
    parts = [terms_of(result.scored) for result in results]
    pooled = {
        name: Terms(
            np.concatenate([part[name].numerator for part in parts]),
            np.concatenate([part[name].denominator for part in parts]),
            parts[0][name].epsilon,
            parts[0][name].proportion,
        )
        for name in IOU_AND_PRESENCE
    }
    return pooled, np.concatenate([np.asarray(result.counts.sample_id) for result in results])


def _by_group(results: Sequence[Result], fact: str) -> dict[str, float]:
    frame = pd.concat([result.per_sample for result in results])
    means = frame.groupby(frame[fact].fillna("unknown"))["iou"].mean()
    return {str(kind): float(value) for kind, value in means.items()}
