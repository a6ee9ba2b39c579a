"""Values behind the figures of a report: IoU, target area, scores by category."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from earthreason.masks.rle import rle_area
from earthreason.metrics.breakdowns import FEW
from earthreason.metrics.formats import format_interval, format_score
from earthreason.metrics.result import Result
from earthreason.metrics.scores import GIOU
from earthreason.metrics.statistics import confidence_intervals

BINS = 20


def histogram(iou: np.ndarray) -> list[tuple[float, int, float]]:
    """Return the lower edge of every bin, its count, and its count divided by the largest one."""
    numbers, edges = np.histogram(iou, bins=BINS, range=(0, 1))
    top = max(int(numbers.max()), 1)
    return [(float(edge), int(n), n / top) for edge, n in zip(edges[:-1], numbers, strict=True)]


def area_points(result: Result, most: int = 2000) -> list[tuple[float, float, str]]:
    """Return target area (log scale, 0.01 % to 100 %) and IoU, both from 0 to 1, and id of at most `most` targets."""
    counts = result.counts
    rows = np.flatnonzero(~counts.truth_empty)
    if rows.size > most:
        rows = rows[np.linspace(0, rows.size - 1, most).astype(int)]
    ids = counts.sample_id[rows]
    share = np.array([_target_share(result, row) for row in rows.tolist()])
    x = np.clip((np.log10(np.maximum(share, 1e-9)) + 4) / 4, 0, 1)
    places = zip(x.tolist(), result.scored.iou[rows].tolist(), ids, strict=True)
    return [(round(area, 4), round(iou, 4), str(sample_id)) for area, iou, sample_id in places]


def _target_share(result: Result, row: int) -> float:
    """Return the share of the image that the target of a row covers, or all targets if they are scored as one."""
    truth = result.references[result.counts.sample_id[row]]
    one = result.protocol.unit == "mask" and truth.targets
    area = rle_area(truth.targets[result.counts.target_index[row]]) if one else truth.area
    return area / (truth.height * truth.width)


@dataclass(frozen=True)
class Bar:
    """gIoU of a category.

    Attributes:
        name: category.
        n: number of questions, or of targets where each is scored on its own.
        few: whether the category has so few of them that its score is uncertain.
        length: gIoU in per cent.
        value: gIoU as text.
        interval: ends of the 95 % interval in per cent; None without resamples or with fewer than 10 images.
        text: interval as text.
    """

    name: str
    n: int
    few: bool
    length: float
    value: str
    interval: tuple[float, float] | None
    text: str


def category_bars(result: Result) -> list[Bar]:
    """Score every category, best first, with an interval over its images; empty with a single category."""
    scored, provenance = result.scored, result.provenance
    labels = np.array([result.references[name].category or "unknown" for name in result.counts.sample_id], object)
    bars = []
    for name in dict.fromkeys(labels.tolist()):
        part = replace(scored, counts=scored.counts.select(labels == name), boundary=None)
        terms, images = GIOU.terms(part), part.counts.sample_id
        giou = terms.ratio() or 0.0
        drawn = provenance.get("resamples", 0), provenance.get("seed", 0)
        found = confidence_intervals({GIOU.name: terms}, images, *drawn).get(GIOU.name)
        ends = None if found is None else (round(100 * found.low, 2), round(100 * found.high, 2))
        size = len(part.counts)
        length = round(100 * giou, 2)
        bars.append(Bar(str(name), size, size < FEW, length, format_score(giou), ends, format_interval(found)))
    return sorted(bars, key=lambda bar: (-bar.length, bar.name)) if len(bars) > 1 else []
