"""Render values as pages: Jinja with escaping everywhere, and the URLs of pages on a server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import earthreason
from earthreason.metrics.statistics import FEW_IMAGES
from earthreason.plurals import count_of

from ..board import BoardQuery, digits, number_text
from ..records import ALL, TRAINING_TITLES, UNSEEN, ScoreEstimate


class Links(Protocol):
    """The URLs of pages; a server and a static site differ in them."""

    live: bool
    """Whether there is a server, which takes submissions, sorts and compares."""

    def home(self) -> str: ...
    def board(self, query: BoardQuery, page: int = 1) -> str: ...
    def model(self, entry_id: str) -> str: ...
    def page(self, name: str) -> str: ...
    def file(self, name: str) -> str: ...
    def data(self, query: BoardQuery, form: str) -> str: ...
    def record(self, entry_id: str) -> str: ...
    def compare(self, ids: Sequence[str]) -> str: ...
    def progress(self, query: BoardQuery) -> str: ...


class ServerLinks:
    """URLs on a server."""

    live = True

    def home(self) -> str:
        return "/"

    def board(self, query: BoardQuery, page: int = 1) -> str:
        return f"/?{_parameters(query)}{f'&page={page}' if page > 1 else ''}"

    def model(self, entry_id: str) -> str:
        return f"/models/{quote(entry_id)}"

    def page(self, name: str) -> str:
        return f"/{name}"

    def file(self, name: str) -> str:
        return f"/static/{name}"

    def data(self, query: BoardQuery, form: str) -> str:
        return f"/api/board{'' if form == 'json' else f'.{form}'}?{_parameters(query)}"

    def progress(self, query: BoardQuery) -> str:
        return f"/progress?{_parameters(query.whole_split())}"

    def wins(self, query: BoardQuery) -> str:
        return f"/wins?{_parameters(query.ranked())}"

    def record(self, entry_id: str) -> str:
        return f"/api/submissions/{quote(entry_id)}"

    def compare(self, ids: Sequence[str]) -> str:
        return f"/compare?{urlencode([('ids', one) for one in ids])}"


LINKS = ServerLinks()
_UNITS = ((1e6, "T"), (1e3, "B"))
"""Units of numbers of parameters, by how many millions they are; what rounds to one of them is written in it."""
NOT_KEPT = {"Cache-Control": "no-store"}
"""Headers of a page for one reader."""


def _parameters(query: BoardQuery) -> str:
    """Encode what differs from the default query as a query string."""
    plain = asdict(BoardQuery.of_split(query.split, query.main_protocol))
    given = {key: value for key, value in asdict(query).items() if key == "split" or value != plain[key]}
    texts = {bool: lambda value: str(value).lower(), float: number_text}
    return urlencode({key: texts.get(type(value), str)(value) for key, value in given.items()})


def percent(value: float | None, decimals: int = 2) -> str:
    """Format a fraction in per cent."""
    return "–" if value is None else f"{100 * value:.{decimals}f}"


def span(estimate: ScoreEstimate) -> str:
    """Format an interval in per cent."""
    return "" if estimate.low is None else f"{percent(estimate.low, 1)} – {percent(estimate.high, 1)}"


def millions(value: float | None) -> str:
    """Format a number of parameters, given in millions."""
    if value is None:
        return ""
    size, unit = next(((size, unit) for size, unit in _UNITS if value >= 0.9995 * size), (1, "M"))
    return f"{value / size:.3g} {unit}"


def place(value: float | None, scale: tuple[float, float], width: float = 100) -> float:
    """Place a value between the two ends of a scale, in units of `width`."""
    low, high = scale
    if value is None or high == low:
        return 0.0
    return round(width * min(1.0, max(0.0, (value - low) / (high - low))), 2)


def curve_points(curve: Sequence[float], width: float, height: float) -> str:
    """Format a curve over IoU from 0 to 1 as the points of an SVG polyline."""
    steps = len(curve)
    return " ".join(f"{width * n / steps:.1f},{height * (1 - share):.1f}" for n, share in enumerate(curve))


def pretty_json(value: Any) -> str:
    """Format JSON for reading, with escapes for characters that show nothing. The template escapes it for HTML."""
    return UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], json.dumps(value, indent=2, ensure_ascii=False))


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Create the template environment."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "percent": percent,
        "digits": digits,
        "span": span,
        "millions": millions,
        "number_text": number_text,
        "place": place,
        "points": curve_points,
        "pretty_json": pretty_json,
    }
    made.globals |= {"training_titles": TRAINING_TITLES, "version": earthreason.__version__, "all_questions": ALL}
    made.globals |= {"few_images": FEW_IMAGES, "count_of": count_of}
    return made


def draw(template: str, links: Links, title: str, **values: Any) -> str:
    """Render a page."""
    return environment().get_template(template).render(links=links, title=title, **values)


def render_error(request: Request, status: int, message: str, headers: dict[str, str]) -> HTMLResponse:
    """Render an error as a page."""
    title = request.app.state.board.settings.title
    return HTMLResponse(draw("error.html", LINKS, title, status=status, message=message), status, headers)
