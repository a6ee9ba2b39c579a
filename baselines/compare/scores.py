"""Official scores of each model over its seeds, and their differences from the first model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from baselines.compare.suite import Suite, SuiteEntry
from earthreason.data.load import load_dataset
from earthreason.metrics.breakdowns import groups_of
from earthreason.metrics.evaluate import evaluate
from earthreason.metrics.result import Result
from earthreason.metrics.scores import IOU_AND_PRESENCE, TARGETS_GIOU, Terms, terms_of
from earthreason.metrics.statistics import Difference, Interval, confidence_intervals, paired_differences
from earthreason.metrics.truth import references_of

SCORES = (*IOU_AND_PRESENCE, TARGETS_GIOU.name)
"""Scores of a comparison. Where many targets are empty, a model that never answers has a gIoU above 0."""
GROUPINGS = ("reasoning_type", "unseen", "target_area")
"""Breakdowns by which a comparison also states gIoU."""


@dataclass(frozen=True)
class GroupScore:
    """Score of a group of questions over all seeds.

    Attributes:
        giou: gIoU, a fraction.
        interval: its 95 % interval; None if the group has few images.
    """

    giou: float
    interval: Interval | None


@dataclass(frozen=True)
class ScoreRow:
    """Row of the table.

    Attributes:
        entry: model and its measurements.
        results: one result per seed.
        scores: scores by metric over the questions of all seeds, fractions; None where undefined.
        spread: largest minus smallest gIoU over the seeds.
        intervals: 95 % intervals by metric, of those with enough images; all seeds of an image are one case.
        by_group: gIoU by group, in the order of tables, by breakdown; without breakdowns that have a single group.
        against_first: difference in gIoU from the suite's first model, paired by image; None for that model.
    """

    entry: SuiteEntry
    results: tuple[Result, ...]
    scores: dict[str, float | None]
    spread: float
    intervals: dict[str, Interval]
    by_group: dict[str, dict[str, GroupScore]]
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
            scores={name: terms[name].ratio() for name in SCORES},
            spread=max(giou) - min(giou),
            intervals=confidence_intervals(terms, images),
            by_group=_by_group(repeated, terms["gIoU"], images),
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
        for name in SCORES
    }
    return pooled, np.concatenate([np.asarray(result.counts.sample_id) for result in results])


def _by_group(results: Sequence[Result], terms: Terms, images: np.ndarray) -> dict[str, dict[str, GroupScore]]:
    keys = list(chain.from_iterable(result.counts.keys() for result in results))
    groups: dict[str, dict[str, GroupScore]] = {}
    for breakdown, name, rows in groups_of(keys, results[0].references):
        if breakdown.name in GROUPINGS:
            part = replace(terms, numerator=terms.numerator[rows], denominator=terms.denominator[rows])
            interval = confidence_intervals({"gIoU": part}, images[rows]).get("gIoU")
            groups.setdefault(breakdown.name, {})[name] = GroupScore(part.ratio() or 0.0, interval)
    return groups
