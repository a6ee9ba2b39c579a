"""Scores by group, such as category, reasoning type, target area or image size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from earthreason.errors import UnknownNameError
from earthreason.metrics.blocks import NumberColumn
from earthreason.metrics.references import Reference
from earthreason.metrics.scores import (
    BOUNDARY_IOU,
    IOU_AND_PRESENCE,
    OVERLAP,
    T_ACC,
    Scored,
    compute_scores,
    metrics_of,
    terms_of,
)
from earthreason.metrics.statistics import RESAMPLES, Interval, confidence_intervals

if TYPE_CHECKING:
    import pandas as pd

FEW = 20
"""Groups with fewer questions are marked, because their scores are uncertain."""
SHOWN = (*OVERLAP, T_ACC.name)
"""Scores of every group, as far as the protocol defines them; Boundary IoU is added where it was computed."""
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Breakdown:
    """Declaration of a way to group questions.

    Attributes:
        name: key in results, and column of the table of questions.
        title: heading in reports.
        label: function from a question's reference and index to the name of its group.
        order: names in the order of the table; other names follow alphabetically.
    """

    name: str
    title: str
    label: Callable[[Reference, int], str]
    order: tuple[str, ...] = ()


def _bin(value: float, edges: tuple[float, ...], labels: tuple[str, ...]) -> str:
    return labels[int(np.searchsorted(edges, value, side="right"))]


_AREAS = ("empty", "under 1 %", "1 to 5 %", "5 to 20 %", "20 % and more")
_SIDES = ("under 512 px", "512 to 1,023 px", "1,024 to 2,047 px", "2,048 px and more")
_GSDS = ("under 1 m", "1 to 5 m", "5 to 15 m", "15 m and more")


def _target_area(reference: Reference, _: int) -> str:
    if reference.is_empty:
        return _AREAS[0]
    return _bin(reference.area / (reference.height * reference.width), (0.01, 0.05, 0.2), _AREAS[1:])


def _resolution(reference: Reference, _: int) -> str:
    gsd = reference.ground_resolution
    return _UNKNOWN if gsd is None else _bin(gsd, (1, 5, 15), _GSDS)


BREAKDOWNS: tuple[Breakdown, ...] = (
    Breakdown("category", "category", lambda r, _: r.category or _UNKNOWN),
    Breakdown("reasoning_type", "reasoning type", lambda r, _: r.reasoning_type or _UNKNOWN),
    Breakdown("unseen", "what training lacks", lambda r, _: r.unseen or _UNKNOWN),
    Breakdown("target", "target", lambda r, _: "empty" if r.is_empty else "present"),
    Breakdown("target_area", "target area", _target_area, _AREAS),
    Breakdown(
        "image_size",
        "image size (longer side)",
        lambda r, _: _bin(max(r.height, r.width), (512, 1024, 2048), _SIDES),
        _SIDES,
    ),
    Breakdown("gsd", "GSD", _resolution, _GSDS),
    Breakdown("question_index", "question index", lambda _, index: str(index)),
)
TITLES = {breakdown.name: breakdown.title for breakdown in BREAKDOWNS}


def check_breakdown(name: str) -> None:
    """Refuse a name that is no breakdown.

    Raises:
        UnknownNameError: there is no such breakdown; names the nearest.
    """
    if name not in TITLES:
        raise UnknownNameError("breakdown", name, TITLES)


def score_groups(scored: Scored, references: Mapping[str, Reference]) -> dict[str, list[dict[str, Any]]]:
    """Score every group of every breakdown with more than one group.

    Returns:
        Rows by name of the breakdown, one per group: `group`, `n`, the scores in `SHOWN` (fractions, None where
        undefined) and `few`.
    """
    tables: dict[str, list[dict[str, Any]]] = {}
    for breakdown, group, rows in groups_of(scored.counts.each_key(), references):
        tables.setdefault(breakdown.name, []).append({"group": group, **_scores_of(scored, rows)})
    return tables


def break_down(scored: Scored, references: Mapping[str, Reference]) -> dict[str, pd.DataFrame]:
    """Return the rows of `score_groups` as frames by name, indexed by group."""
    import pandas as pd

    return {name: pd.DataFrame(rows).set_index("group") for name, rows in score_groups(scored, references).items()}


def groups_of(
    keys: Iterable[tuple[str, int]], references: Mapping[str, Reference]
) -> Iterator[tuple[Breakdown, str, np.ndarray]]:
    """Yield every group of every breakdown with more than one, and its rows of the keys, (n,) bool."""
    columns: list[tuple[Breakdown, dict[str, int], NumberColumn]] = [(each, {}, NumberColumn()) for each in BREAKDOWNS]
    for sample_id, index in keys:
        reference = references[sample_id]
        for breakdown, numbers, column in columns:
            column.append(numbers.setdefault(breakdown.label(reference, index), len(numbers)))
    for breakdown, numbers, column in columns:
        codes, order = column.join(), breakdown.order
        for name in sorted(numbers, key=lambda label: (_rank(label, order), label)) if len(numbers) > 1 else ():
            yield breakdown, name, codes == numbers[name]


@dataclass(frozen=True)
class Stratum:
    """Scores of a group, with intervals.

    Attributes:
        group: name of the group.
        n: number of questions, or of masks where the protocol scores masks.
        scores: gIoU, cIoU, N-acc and T-acc as fractions, as far as the protocol defines them; None where undefined.
        intervals: 95 % intervals by score, of those with enough images.
    """

    group: str
    n: int
    scores: dict[str, float | None]
    intervals: dict[str, Interval]


def stratify(
    scored: Scored, references: Mapping[str, Reference], by: str, resamples: int = RESAMPLES, seed: int = 0
) -> list[Stratum]:
    """Score every group of a breakdown, with intervals; [] if there is only one group.

    Args:
        scored: counts and rules of the questions.
        references: ground truth by sample id.
        by: name of the breakdown, such as "reasoning_type".
        resamples: number of bootstrap resamples; 0 gives no intervals.
        seed: seed of the resamples.

    Raises:
        UnknownNameError: there is no such breakdown.
    """
    check_breakdown(by)
    strata = []
    for breakdown, group, rows in groups_of(scored.counts.each_key(), references):
        if breakdown.name != by:
            continue
        part = replace(scored, counts=scored.counts.select(rows), boundary=None)
        terms = {name: term for name, term in terms_of(part).items() if name in IOU_AND_PRESENCE}
        intervals = confidence_intervals(terms, part.counts.sample_id, resamples, seed)
        strata.append(Stratum(group, len(part.counts), compute_scores(terms), intervals))
    return strata


def labels_of(keys: Sequence[tuple[str, int]], references: Mapping[str, Reference]) -> dict[str, np.ndarray]:
    """Return the group of every question, (n,) str objects, by name of the breakdown."""
    columns = {breakdown.name: np.empty(len(keys), object) for breakdown in BREAKDOWNS}
    for row, (sample_id, index) in enumerate(keys):
        reference = references[sample_id]
        for breakdown in BREAKDOWNS:
            columns[breakdown.name][row] = breakdown.label(reference, index)
    return columns


def _rank(label: str, order: tuple[str, ...]) -> int:
    return order.index(label) if label in order else len(order)


def _scores_of(scored: Scored, rows: np.ndarray) -> dict[str, float | int | bool | None]:
    bands = None if scored.boundary is None else scored.boundary[rows]
    part = replace(scored, counts=scored.counts.select(rows), boundary=bands)
    n = len(part.counts)
    shown = {metric.name: metric for metric in metrics_of(part.protocol) if metric.name in SHOWN}
    if bands is not None:
        shown[BOUNDARY_IOU.name] = BOUNDARY_IOU
    scores = {name: metric.terms(part).ratio() for name, metric in shown.items()}
    return {"n": n, **scores, "few": n < FEW}
