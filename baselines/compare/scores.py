"""Official scores of each model over its seeds, and their differences from the first model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from earthreason.data.load import load_dataset
from earthreason.metrics.breakdowns import groups_of
from earthreason.metrics.evaluate import evaluate
from earthreason.metrics.result import Result
from earthreason.metrics.scores import WITH_TARGETS, compute_scores, terms_of
from earthreason.metrics.seeds import holm, seeded_difference, seeded_interval
from earthreason.metrics.statistics import Difference, Interval
from earthreason.metrics.truth import references_of

from .runs import SuiteEntry
from .suite import Suite

GROUPINGS = ("reasoning_type", "unseen", "target_area")
"""Breakdowns by which a comparison also states gIoU."""
MIN_SEEDS = 5
"""Least number of seeds for a p-value."""
MIN_SCENES = 1_000
"""Least number of scenes for a p-value."""


@dataclass(frozen=True)
class GroupScore:
    """Score of a group of questions over all seeds.

    Attributes:
        giou: gIoU, a fraction.
        interval: its 95 % interval over seeds and images; None if the group has few images.
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
        interval: 95 % interval of gIoU over seeds and images; None if there are few images.
        by_group: gIoU by group, in the order of tables, by breakdown; without breakdowns that have a single group.
        against_first: difference in gIoU from the suite's first model, over seeds and images; None for that model.
        corrected_p: p-value of that difference, corrected for the number of comparisons on the page; None for the first
            model and with fewer than `MIN_SEEDS` seeds or `MIN_SCENES` scenes.
    """

    entry: SuiteEntry
    results: tuple[Result, ...]
    scores: dict[str, float | None]
    spread: float
    interval: Interval | None
    by_group: dict[str, dict[str, GroupScore]]
    against_first: Difference | None = None
    corrected_p: float | None = None


def score_suite(suite: Suite, entries: Sequence[SuiteEntry]) -> list[ScoreRow]:
    """Score all models with the official protocol, and compare all with the first."""
    rows = load_dataset("earthreason", suite.test_config, split=suite.test_split, data_dir=suite.test_data_dir)
    truth = references_of(rows, suite.test_split)
    table: list[ScoreRow] = []
    first: np.ndarray | None = None
    for entry in entries:
        results = tuple(evaluate(path, truth, resamples=0) for path in entry.predictions)
        iou = np.stack([result.scored.iou for result in results])  # (seeds, images)
        giou = iou.mean(1)
        table.append(
            ScoreRow(
                entry=entry,
                results=results,
                scores=_pooled_scores(results),
                spread=float(giou.max() - giou.min()),
                interval=seeded_interval(iou),
                by_group=_by_group(results[0], iou),
                against_first=None if first is None else seeded_difference(first, iou),
            )
        )
        first = iou if first is None else first
    return table if what_is_lacking(len(suite.seeds), len(rows)) else _with_corrected_p(table)


def what_is_lacking(seeds: int, scenes: int) -> str | None:
    """Say why a comparison has no p-values; None if it has enough seeds and scenes."""
    lacking = [
        f"{count:,} {what}, fewer than {least:,}"
        for count, what, least in ((seeds, "seeds", MIN_SEEDS), (scenes, "scenes", MIN_SCENES))
        if count < least
    ]
    return " and ".join(lacking) or None


def _with_corrected_p(table: Sequence[ScoreRow]) -> list[ScoreRow]:
    differences = [row.against_first for row in table[1:] if row.against_first is not None]
    corrected = holm([difference.p_value for difference in differences])
    return [table[0], *(replace(row, corrected_p=p) for row, p in zip(table[1:], corrected, strict=True))]


def _pooled_scores(results: Sequence[Result]) -> dict[str, float | None]:
    """Compute each score over the questions of all seeds."""
    parts = [terms_of(result.scored) for result in results]
    pooled = {
        name: replace(
            parts[0][name],
            numerator=np.concatenate([part[name].numerator for part in parts]),
            denominator=np.concatenate([part[name].denominator for part in parts]),
        )
        for name in WITH_TARGETS
    }
    return compute_scores(pooled)


def _by_group(result: Result, iou: np.ndarray) -> dict[str, dict[str, GroupScore]]:
    """Score the groups of the questions of a result; all seeds have the same: iou is (seeds, images)."""
    groups: dict[str, dict[str, GroupScore]] = {}
    for breakdown, name, rows in groups_of(list(result.counts.keys()), result.references):
        if breakdown.name in GROUPINGS:
            own = iou[:, rows]
            groups.setdefault(breakdown.name, {})[name] = GroupScore(float(own.mean()), seeded_interval(own))
    return groups
