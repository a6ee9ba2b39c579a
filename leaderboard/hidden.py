"""What leaves the board about a split whose labels are hidden, and how much of them it can tell.

A crafted file turns every published figure into a gauge. So the figures are few, in whole per cent, and each further
number beside them (interval, rank, difference) is computed from these alone. What an answer tells is then bounded by
the number of values its figures can have, however the file was made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from earthreason.masks.rle import rle_area
from earthreason.metrics.evaluate import scored_questions
from earthreason.metrics.proportions import wilson_interval
from earthreason.metrics.protocols import NATIVE, PROTOCOLS, Protocol, get_protocol
from earthreason.metrics.references import References
from earthreason.metrics.scores import CIOU, GIOU, HEADLINE, N_ACC, OVERLAP, T_ACC, metrics_of
from earthreason.metrics.statistics import MIN_IMAGES

from .records import ALL, ResultRecord, ScoreEstimate

DECIMALS = 2
"""Decimals of every figure, as a fraction: whole per cent."""
GROUP_FIGURES = (GIOU.name, CIOU.name)
"""Scores of a group on a team's final submission, under the main protocol."""
SMALLEST_GROUP = 100
"""Least number of questions of a group that is shown."""
WITHHELD = "withheld because the labels of this split are hidden"
_LEVELS = 10**DECIMALS + 1


def shown_figures(main: Protocol, *, ignored: bool = False) -> dict[str, tuple[str, ...]]:
    """List the scores over all questions that are shown, by protocol.

    Args:
        main: main protocol of the split.
        ignored: whether the truth has ignored pixels. Under a protocol that leaves them out, one pixel decides whether
            an answer is empty, so N-acc and T-acc would tell the label of that pixel.
    """
    defined = {metric.name for metric in metrics_of(main)}
    headline = OVERLAP if ignored and main.ignore else HEADLINE
    figures = {main.name: tuple(name for name in headline if name in defined)}
    if main is not NATIVE and not (ignored and NATIVE.ignore):
        figures[NATIVE.name] = (GIOU.name, CIOU.name)
    return figures


def ignores_pixels(references: References) -> bool:
    """Tell whether the truth has pixels that are neither target nor background."""
    return any(reference.ignore for reference in references.values())


def hide_labels(record: ResultRecord, *, final: bool = False) -> ResultRecord:
    """Reduce a result to what a hidden split may show. Reducing it again changes nothing.

    Args:
        record: a result, complete or reduced.
        final: whether the submission is the final one of its team, which also shows large groups.
    """
    main = record.main_protocol
    figures = shown_figures(get_protocol(main))
    shown = [subset for subset in record.subsets if subset.key == ALL or (final and subset.questions >= SMALLEST_GROUP)]
    protocols = {}
    for name in (name for name in figures if name in record.protocols):
        scores = record.protocols[name].scores
        cells = {ALL: _figures(scores.get(ALL, {}), figures[name], record)}
        if name == main:
            groups = (subset.key for subset in shown if subset.key != ALL and subset.key in scores)
            cells |= {key: _figures(scores[key], GROUP_FIGURES) for key in groups}
        protocols[name] = record.protocols[name].model_copy(update={"scores": cells})
    hidden = {name: WITHHELD for name in PROTOCOLS if name not in figures}
    reasons = {name: reason for name, reason in record.not_scored.items() if name in figures}
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
    # The fewest images that can have the questions behind a score; exact if every image has one question.
    further = record.questions - record.images
    fewest = {N_ACC.name: record.empty_targets - further, T_ACC.name: record.images - record.empty_targets}
    images = min(fewest.get(metric, record.images), record.images)
    if images < MIN_IMAGES:
        return None, None
    step = 0.5 / 10**DECIMALS
    low, _ = wilson_interval(max(0.0, value - step), images)
    _, high = wilson_interval(min(1.0, value + step), images)
    outward = 10**DECIMALS
    return math.floor(low * outward) / outward, math.ceil(high * outward) / outward


def bits_of_split(references: References, main: Protocol) -> float:
    """Bound what one submission to a split tells of its labels, bits; see `bits_of_totals`."""
    return bits_of_totals(*count_cases(references, main), shown_figures(main, ignored=ignores_pixels(references)))


def count_cases(references: References, protocol: Protocol) -> tuple[int, int]:
    """Count the questions that a protocol scores, or masks if it scores each, and those among them without a target."""
    cases, empty = 0, 0
    for sample_id, _ in scored_questions(references, protocol):
        reference = references[sample_id]
        masks = (protocol.unit == "mask" and reference.targets) or (reference.segmentation,)
        cases += len(masks)
        empty += sum(rle_area(mask) == 0 for mask in masks)
    return cases, empty


def bits_of_totals(cases: int, empty: int, figures: Mapping[str, Sequence[str]]) -> float:
    """Bound what one submission tells of the labels, bits: the logarithm of the number of answers it can have.

    A share of n cases has at most n + 1 values, any other score as many as whole per cent allow.

    Args:
        cases: number of questions or masks under the main protocol; see `count_cases`.
        empty: number of those without a target.
        figures: the scores that are shown, by protocol.
    """
    counted = {N_ACC.name: empty, T_ACC.name: cases - empty}
    names = [name for shown in figures.values() for name in shown]
    return sum(math.log2(min(_LEVELS, counted.get(name, _LEVELS) + 1)) for name in names)


def bits_of_groups(groups: int) -> float:
    """Bound what the groups of a final submission tell beside its totals, bits."""
    return groups * len(GROUP_FIGURES) * math.log2(_LEVELS)
