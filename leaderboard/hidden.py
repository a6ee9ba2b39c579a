"""What leaves the board about a split whose labels are hidden, and how much of them it can tell.

A crafted file turns every published figure into a gauge. So the figures are few, in whole per cent, and each further
number beside them (interval, rank, difference) is computed from these alone. What an answer tells is then bounded by
the number of values its figures can have, however the file was made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from earthreason.metrics.proportions import wilson_interval
from earthreason.metrics.protocols import NATIVE, PROTOCOLS, SEGEARTH_R1
from earthreason.metrics.scores import CIOU, GIOU, HEADLINE, N_ACC, T_ACC
from earthreason.metrics.statistics import MIN_IMAGES
from leaderboard.records import ALL, ResultRecord, ScoreEstimate

DECIMALS = 2
"""Decimals of every figure, as a fraction: whole per cent."""
FIGURES: dict[str, tuple[str, ...]] = {SEGEARTH_R1.name: HEADLINE, NATIVE.name: (GIOU.name, CIOU.name)}
"""Scores over all questions that are shown, by protocol."""
GROUP_FIGURES = (GIOU.name, CIOU.name)
"""Scores of a group on a team's final submission, under the official protocol."""
SMALLEST_GROUP = 100
"""Least number of questions of a group that is shown."""
WITHHELD = "withheld because the labels of this split are hidden"
_LEVELS = 10**DECIMALS + 1


def hide_labels(record: ResultRecord, *, final: bool = False) -> ResultRecord:
    """Reduce a result to what a hidden split may show. Reducing it again changes nothing.

    Args:
        record: a result, complete or reduced.
        final: whether the submission is the final one of its team, which also shows large groups.
    """
    shown = [subset for subset in record.subsets if subset.key == ALL or (final and subset.questions >= SMALLEST_GROUP)]
    protocols = {}
    for name in (name for name in FIGURES if name in record.protocols):
        scores = record.protocols[name].scores
        cells = {ALL: _figures(scores.get(ALL, {}), FIGURES[name], record)}
        if name == SEGEARTH_R1.name:
            groups = (subset.key for subset in shown if subset.key != ALL and subset.key in scores)
            cells |= {key: _figures(scores[key], GROUP_FIGURES) for key in groups}
        protocols[name] = record.protocols[name].model_copy(update={"scores": cells})
    hidden = {name: WITHHELD for name in PROTOCOLS if name not in FIGURES}
    reasons = {name: reason for name, reason in record.not_scored.items() if name in FIGURES}
    facts = {"subsets": shown, "protocols": protocols, "not_scored": reasons | hidden, "curve": [], "resamples": 0}
    return record.model_copy(update={**facts, "seed": 0, "decimals": DECIMALS})


def _figures(
    cells: Mapping[str, ScoreEstimate], names: Iterable[str], record: ResultRecord | None = None
) -> dict[str, ScoreEstimate]:
    """Round the named scores; give an interval to those over all questions of a record."""
    rounded = {name: round(cells[name].value, DECIMALS) for name in names if name in cells}
    return {name: ScoreEstimate(value, *_interval(name, value, record)) for name, value in rounded.items()}


def _interval(metric: str, value: float, record: ResultRecord | None) -> tuple[float, float] | tuple[None, None]:
    """Compute an interval from a rounded score alone.

    Wilson's interval holds for a mean of any values between 0 and 1, as none vary more than a proportion with the same
    mean. The images behind cIoU have weights that are secret, so it has no interval.
    """
    if record is None or metric == CIOU.name:
        return None, None
    cases = {N_ACC.name: record.empty_targets, T_ACC.name: record.images - record.empty_targets}
    images = min(cases.get(metric, record.images), record.images)
    if images < MIN_IMAGES:
        return None, None
    step = 0.5 / 10**DECIMALS
    low, _ = wilson_interval(max(0.0, value - step), images)
    _, high = wilson_interval(min(1.0, value + step), images)
    outward = 10**DECIMALS
    return math.floor(low * outward) / outward, math.ceil(high * outward) / outward


def bits_of_totals(questions: int, empty_targets: int) -> float:
    """Bound what one submission tells of the labels, bits: the logarithm of the number of answers it can have.

    A share of n questions has at most n + 1 values, any other score as many as whole per cent allow.
    """
    cases = {N_ACC.name: empty_targets, T_ACC.name: questions - empty_targets}
    names = [name for figures in FIGURES.values() for name in figures]
    return sum(math.log2(min(_LEVELS, cases.get(name, _LEVELS) + 1)) for name in names)


def bits_of_groups(groups: int) -> float:
    """Bound what the groups of a final submission tell beside its totals, bits."""
    return groups * len(GROUP_FIGURES) * math.log2(_LEVELS)
