"""The page that plots scores over time and by number of parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from earthreason.metrics.protocols import PROTOCOLS, get_protocol
from earthreason.metrics.scores import METRICS
from leaderboard.board import percent_digits
from leaderboard.hidden import DECIMALS
from leaderboard.progress import MOST_POINTS, Point, read_progress
from leaderboard.selection import list_metrics
from leaderboard.splits import get_split, list_splits
from leaderboard.web.queries import Resolved
from leaderboard.web.rendering import LINKS, draw, millions, percent, place
from leaderboard.web.state import Shared

router = APIRouter(default_response_class=HTMLResponse)
_WIDTH, _HEIGHT = 400, 200
_LEAST_SPAN = 1e-9


@router.get("/progress")
async def get_progress(request: Request, state: Shared, query: Resolved) -> Response:
    """The filters of the table are left out: progress is that of all rows."""
    chosen = query.whole_split()

    def show() -> str:
        with state.database.read() as session:
            split = get_split(session, chosen.split)
            progress = read_progress(session, chosen.split, chosen.protocol, chosen.ranking)
            digits = percent_digits(DECIMALS if split.hidden else None)
            values = {
                "splits": list_splits(session),
                "metrics": list_metrics(session, chosen),
                "progress": progress,
                "over_time": _plot(progress.over_time, digits, "Published", _day, lambda x: x),
                "by_size": _plot(progress.by_size, digits, "Parameters", millions, math.log10),
            }
        facts = {"query": chosen, "protocol": get_protocol(chosen.protocol), "protocols": PROTOCOLS.values()}
        facts |= {"title_of_score": METRICS[chosen.ranking].title, "most": MOST_POINTS}
        return draw("progress.html", LINKS, state.settings.title, **values, **facts)

    return await state.board.respond(request, chosen, (chosen.split,), "text/html", show)


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
