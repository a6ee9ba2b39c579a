"""Measure agreement on masks, targets, categories and verdicts, and each person's pace and drift."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from earthreason.metrics.scores import Terms
from earthreason.metrics.statistics import confidence_intervals
from earthreason.questions.settlement import VERDICTS, name_samples

from ..drawing import Drawing
from ..formats.base import NO_TARGET
from ..gold import without_gold
from ..workspace import Workspace
from .instances import TargetCounts
from .masks import MaskPair, compare_drawings
from .offered import offered_categories
from .ratings import Agreement, rate_agreement

_LEAST = 8
"""Fewest tasks of one person for which a trend is reported."""


@dataclass(frozen=True)
class Person:
    """Measurements of one annotator's work.

    Attributes:
        name: name of the annotator.
        tasks: number of tasks drawn.
        empty: share of these tasks drawn as empty.
        seconds: median seconds per task, None if no tool recorded them.
        iou: mean IoU with other people's masks of the same images, None without any.
        seconds_halves: median seconds per task in the first and the second half of the work.
        iou_halves: mean IoU with others in the two halves.
        drift: Spearman's rank correlation between the order of the tasks and their IoU, with its p-value; None below
            eight shared tasks or if all have the same IoU.
    """

    name: str
    tasks: int
    empty: float
    seconds: float | None
    iou: float | None
    seconds_halves: tuple[float | None, float | None]
    iou_halves: tuple[float | None, float | None]
    drift: tuple[float, float] | None


@dataclass(frozen=True)
class TargetAgreement:
    """Agreement on separate targets, over all pairs of people.

    Attributes:
        tasks: number of tasks whose targets are kept apart.
        same: number of targets that both people of a pair marked, with an IoU above 0.5.
        different: number of targets that only one of them marked.
        f1: `TargetCounts.f1` of these numbers.
        panoptic: panoptic quality, which also counts how well the same targets overlap.
    """

    tasks: int
    same: int
    different: int
    f1: float | None
    panoptic: float | None


@dataclass(frozen=True)
class Quality:
    """The report of `agreement`.

    Attributes:
        images: number of images drawn by at least two people.
        pairs: pairs of masks of the same image.
        iou: mean IoU over pairs and the ends of its 95 % interval over images, by the judge's methods; the ends are
            None below ten images. None without pairs.
        iou_low: 5th percentile of the IoU over pairs.
        distance: mean over pairs of the mean outline distance, pixels.
        emptiness: agreement on whether there is a target.
        categories: agreement on the category of non-empty drawings.
        people: annotators.
        targets: agreement on separate targets, None if no task keeps them apart.
        verdicts: agreement of reviewers on questions, None without a review.
        consistency: number of questions judged twice, and the share judged the same, by reviewer.
        pace: number of verdicts, and their median seconds, by reviewer.
    """

    images: int
    pairs: list[MaskPair]
    iou: tuple[float, float | None, float | None] | None
    iou_low: float | None
    distance: float | None
    emptiness: Agreement
    categories: Agreement
    people: list[Person]
    targets: TargetAgreement | None = None
    verdicts: Agreement | None = None
    consistency: dict[str, tuple[int, float]] = field(default_factory=dict)
    pace: dict[str, tuple[int, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def measure_quality(
    workspace: Workspace,
    verdicts: Iterable[Mapping[str, Any]] | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Quality:
    """Measure the agreement in a workspace; gold tasks do not count.

    Args:
        workspace: workspace with drawings.
        verdicts: verdicts from `ReviewStore.verdicts`, None without a review.
        progress: called with 1 after every task with drawings.
    """
    drawings = without_gold(workspace, workspace.drawings())
    pairs = compare_drawings(drawings, progress)
    given = None if verdicts is None else list(verdicts)
    distances = [pair.distance for pair in pairs if pair.distance is not None]
    return Quality(
        images=len({pair.image for pair in pairs}),
        pairs=pairs,
        iou=_mean_iou(pairs),
        iou_low=float(np.percentile([pair.iou for pair in pairs], 5)) if pairs else None,
        distance=float(np.mean(distances)) if distances else None,
        emptiness=_emptiness(drawings),
        categories=_categories(drawings, len(offered_categories(workspace))),
        people=_people(drawings, pairs),
        targets=_targets(pairs),
        verdicts=None if given is None else _verdicts(given),
        consistency=_consistency(given or []),
        pace=_pace(given or []),
    )


def _mean_iou(pairs: Sequence[MaskPair]) -> tuple[float, float | None, float | None] | None:
    if not pairs:
        return None
    values = np.array([pair.iou for pair in pairs])
    terms = {"iou": Terms(values, np.ones(len(values)))}
    interval = confidence_intervals(terms, np.array([pair.image for pair in pairs])).get("iou")
    ends = (None, None) if interval is None else (interval.low, interval.high)
    return float(values.mean()), *ends


def _targets(pairs: Sequence[MaskPair]) -> TargetAgreement | None:
    counted = [(pair.image, pair.targets) for pair in pairs if pair.targets is not None]
    if not counted:
        return None
    total = sum((counts for _, counts in counted), TargetCounts(0, 0, 0, 0.0))
    different = total.only_first + total.only_second
    return TargetAgreement(len({task for task, _ in counted}), total.same, different, total.f1, total.panoptic)


def _emptiness(drawings: Mapping[str, Sequence[Drawing]]) -> Agreement:
    said = {
        image: {drawing.annotator: NO_TARGET if drawing.is_empty else "target" for drawing in several}
        for image, several in drawings.items()
    }
    return rate_agreement(said, 2)


def _categories(drawings: Mapping[str, Sequence[Drawing]], offered: int) -> Agreement:
    said = {
        image: {drawing.annotator: drawing.category for drawing in several if drawing.category is not None}
        for image, several in drawings.items()
    }
    return rate_agreement(said, max(2, offered))


def _people(drawings: Mapping[str, Sequence[Drawing]], pairs: Sequence[MaskPair]) -> list[Person]:
    ious: dict[tuple[str, str], list[float]] = defaultdict(list)
    for pair in pairs:
        ious[pair.first, pair.image].append(pair.iou)
        ious[pair.second, pair.image].append(pair.iou)
    own: dict[str, list[Drawing]] = defaultdict(list)
    for several in drawings.values():
        for drawing in several:
            own[drawing.annotator].append(drawing)
    return [_person(name, sorted(work, key=lambda d: d.saved), ious) for name, work in sorted(own.items())]


def _person(name: str, work: list[Drawing], ious: Mapping[tuple[str, str], list[float]]) -> Person:
    from scipy.stats import spearmanr

    shared = [float(np.mean(ious[name, d.task])) if (name, d.task) in ious else None for d in work]
    seconds = [drawing.seconds for drawing in work]
    known = [value for value in shared if value is not None]
    half = len(work) // 2
    drift = None
    if len(known) >= _LEAST and len(set(known)) > 1:
        correlation = spearmanr(range(len(known)), known)
        drift = float(correlation.statistic), float(correlation.pvalue)
    return Person(
        name,
        len(work),
        sum(drawing.is_empty for drawing in work) / len(work),
        _median(seconds),
        _mean(shared),
        (_median(seconds[:half]), _median(seconds[half:])),
        (_mean(shared[:half]), _mean(shared[half:])),
        drift,
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _verdicts(given: Sequence[Mapping[str, Any]]) -> Agreement:
    said: dict[str, dict[str, str]] = defaultdict(dict)
    for place, entry in zip(places_of(given), given, strict=True):
        if entry["round"] == 1:
            said[place][entry["reviewer"]] = entry["verdict"]
    return rate_agreement(said, len(VERDICTS))


def places_of(given: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the question of each verdict."""
    samples = [(entry["split"], entry["sample_id"]) for entry in given]
    names = name_samples(samples)
    return [f"{names[sample]} question {entry['number']}" for sample, entry in zip(samples, given, strict=True)]


def _pace(given: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, float]]:
    seconds: dict[str, list[float]] = defaultdict(list)
    for entry in given:
        seconds[entry["reviewer"]].append(entry["seconds"])
    return {reviewer: (len(values), float(np.median(values))) for reviewer, values in sorted(seconds.items())}


def _consistency(given: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, float]]:
    looks: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for place, entry in zip(places_of(given), given, strict=True):
        looks[entry["reviewer"], place][entry["round"]] = entry["verdict"]
    same: dict[str, list[bool]] = defaultdict(list)
    for (reviewer, _), verdicts in looks.items():
        if len(verdicts) == 2:
            same[reviewer].append(verdicts[1] == verdicts[2])
    return {reviewer: (len(values), sum(values) / len(values)) for reviewer, values in sorted(same.items())}
