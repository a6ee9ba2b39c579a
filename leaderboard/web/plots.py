"""Where the marks of a plot lie, in the units of its SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from earthreason.metrics.protocols import get_protocol
from earthreason.metrics.scores import METRICS

from ..board import BoardQuery
from ..progress import MOST_POINTS, Point, Progress
from .rendering import millions, percent, place

_WIDTH, _HEIGHT = 400, 200
_LEAST_SPAN = 1e-9
_RADIUS, _LABELS_AT = 110, 118
_RINGS = (0.25, 0.5, 0.75, 1.0)
_FEWEST_SPOKES = 3
_MOST_LEVEL = 12
"""Most spokes whose labels have room side by side; those of more are written along their spokes."""


def progress_view(progress: Progress, query: BoardQuery, digits: int) -> dict[str, Any]:
    """Collect the values of the page about a score's progress; scores are written in per cent with `digits` decimals.

    The plot by number of parameters is logarithmic.
    """
    return {
        "query": query,
        "protocol": get_protocol(query.protocol),
        "title_of_score": METRICS[query.ranking].title,
        "rows": progress.rows,
        "most": MOST_POINTS,
        "over_time": _plot(progress.over_time, digits, "Published", _day, lambda seconds: seconds),
        "by_size": _plot(progress.by_size, digits, "Parameters", millions, math.log10),
    }


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _plot(
    points: Sequence[Point], digits: int, what: str, say: Callable[[float], str], scaled: Callable[[float], float]
) -> dict[str, Any]:
    """Place points in a plot; the line of those that lead goes on to the right edge."""
    xs, scores = ([scaled(one.x) for one in points], [one.score for one in points])
    across = (min(xs), max(xs)) if points else (0.0, 1.0)
    up = (min(scores), max(scores)) if points else (0.0, 1.0)
    across, up = (ends if ends[1] - ends[0] > _LEAST_SPAN else (ends[0] - 0.5, ends[1] + 0.5) for ends in (across, up))
    drawn = [
        {
            "entry_id": one.entry_id,
            "model": one.model,
            "leads": one.leads,
            "x": place(x, across, _WIDTH),
            "y": round(_HEIGHT - place(one.score, up, _HEIGHT), 2),
            "at": say(one.x),
            "score": percent(one.score, digits),
            "text": f"{percent(one.score, digits)}, {say(one.x)}",
        }
        for one, x in zip(points, xs, strict=True)
    ]
    steps: list[tuple[Any, Any]] = []
    for one in (one for one in drawn if one["leads"]):
        steps += [(one["x"], steps[-1][1])] if steps else []
        steps.append((one["x"], one["y"]))
    steps += [(_WIDTH, steps[-1][1])] if steps else []
    return {
        "points": drawn,
        "what": what,
        "line": " ".join(f"{x},{y}" for x, y in steps) if len(steps) > 1 else "",
        "y_ticks": [
            {"at": _HEIGHT - place(value, up, _HEIGHT), "text": percent(value, digits)}
            for value in (sorted({min(scores), max(scores)}) if points else ())
        ],
        "x_ticks": [
            {"at": place(scaled(x), across, _WIDTH), "text": say(x), "anchor": anchor}
            for x, anchor in zip(
                sorted({min(one.x for one in points), max(one.x for one in points)}) if points else (),
                ("start", "end"),
                strict=False,
            )
        ],
    }


def draw_radar(groups: Sequence[str], scores: Sequence[Sequence[float]]) -> dict[str, Any] | None:
    """Place the scores of models by group on spokes around a centre.

    The radius of a score is linear, from 0 in the centre to 1 at the rim.

    Args:
        groups: names of the groups, clockwise from the top.
        scores: for every model a score of each group, 0 to 1.

    Returns:
        The ends and labels of the spokes, the rings and a polygon for every model; None for fewer than three groups.
    """
    if len(groups) < _FEWEST_SPOKES:
        return None
    angles = [2 * math.pi * number / len(groups) for number in range(len(groups))]
    return {
        "spokes": [
            {"end": _at(angle, _RADIUS), **_label(name, angle, along=len(groups) > _MOST_LEVEL)}
            for name, angle in zip(groups, angles, strict=True)
        ],
        "rings": [
            {"points": _polygon(angles, [share] * len(groups)), "text": percent(share, 0), "y": -share * _RADIUS}
            for share in _RINGS
        ],
        "shapes": [_polygon(angles, values) for values in scores],
    }


def _at(angle: float, radius: float) -> tuple[float, float]:
    return round(radius * math.sin(angle), 2) + 0.0, round(-radius * math.cos(angle), 2) + 0.0


def _polygon(angles: Sequence[float], values: Sequence[float]) -> str:
    corners = [_at(angle, _RADIUS * value) for angle, value in zip(angles, values, strict=True)]
    return " ".join(f"{x},{y}" for x, y in corners)


def _label(name: str, angle: float, *, along: bool) -> dict[str, Any]:
    """Place the label of a spoke: level, or along the spoke and never upside down."""
    x, y = _at(angle, _LABELS_AT)
    left, upright = x < 0, abs(x) < 1
    if not along:
        anchor = "middle" if upright else "end" if left else "start"
        return {"label": name, "x": x, "y": round(y + 4, 2), "anchor": anchor, "turned": 0}
    turned = round(math.degrees(angle), 2) + (90 if left else -90)
    return {"label": name, "x": x, "y": y, "anchor": "end" if left else "start", "turned": turned}
