"""What other places show of a row: a badge, a frame, a citation, a feed of new rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from xml.sax.saxutils import escape, quoteattr

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from earthreason.data.configs import DEFAULT_CONFIG
from earthreason.metrics.protocols import get_protocol
from earthreason.metrics.scores import GIOU

from ..board import BoardEntry, digits, fold
from ..entries import entry_of
from ..exports import escape_latex
from ..records import ALL, ResultRecord
from ..splits import get_split
from ..submissions import NotThereError, find_submission, latest_result
from ..tables import ListedRow
from .api import Address
from .guard import CONTENT_POLICY
from .personal import ShownId
from .rendering import LINKS, draw, percent
from .state import Shared

router = APIRouter()
_FEED_ROWS = 50
_ATOM = "http://www.w3.org/2005/Atom"
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CHARACTER_WIDTH = 6.7
_KEY_NAME, _KEY_ID = 40, 8
"""Characters of the key of a citation."""
_OF_ALL = {"Cross-Origin-Resource-Policy": "cross-origin"}
"""Badges, frames and feeds are shown by other sites."""
_FRAMED = {**_OF_ALL, "Content-Security-Policy": CONTENT_POLICY.replace("frame-ancestors 'none'", "frame-ancestors *")}
_FRAMING = {"Content-Security-Policy": f"{CONTENT_POLICY}; frame-src 'self'"}


@router.get("/feed.xml")
async def get_feed(
    request: Request, state: Shared, address: Address, split: Annotated[str, Query(max_length=81)] = ""
) -> Response:
    """The newest rows of a split as an Atom feed."""
    chosen = split or await state.board.default_split()

    def show() -> str:
        with state.database.read() as session:
            created = get_split(session, chosen).created
            newest = select(ListedRow).where(ListedRow.split == chosen).order_by(ListedRow.published.desc())
            rows = session.scalars(newest.order_by(ListedRow.entry_id).limit(_FEED_ROWS)).all()
            return _atom(address, f"{state.settings.title} leaderboard, {chosen}", chosen, rows, created)

    return await state.board.respond(request, (address, chosen), (chosen,), "application/atom+xml", show, _OF_ALL)


def _atom(address: str, title: str, split: str, rows: Sequence[ListedRow], created: float) -> str:
    here = f"{address}/feed.xml?split={split}"
    newest = max((row.published for row in rows), default=created)
    entries = "".join(
        f"<entry><id>{escape(f'{address}{LINKS.model(row.entry_id)}')}</id>"
        f"<title>{_text(row.details['model'])}</title><author><name>{_text(row.team)}</name></author>"
        f"<link href={quoteattr(f'{address}{LINKS.model(row.entry_id)}')}/>"
        f"<published>{_moment(row.published)}</published><updated>{_moment(row.published)}</updated>"
        f"<summary>{_text(row.details.get('description') or row.details['training'])}</summary></entry>\n"
        for row in rows
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="{_ATOM}"><id>{escape(here)}</id>'
        f"<title>{escape(title)}</title><updated>{_moment(newest)}</updated>"
        f'<link rel="self" href={quoteattr(here)}/><link href={quoteattr(f"{address}/?split={split}")}/>\n'
        f"{entries}</feed>\n"
    )


def _text(value: Any) -> str:
    """Escape a text. Rows of earlier versions may have characters that XML has no place for."""
    return escape(_NOT_XML.sub("\ufffd", str(value)))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@router.get("/models/{submission_id}/badge.svg")
async def get_badge(request: Request, state: Shared, submission_id: ShownId) -> Response:
    """A picture with the gIoU of a row under the main protocol, for a README."""

    def show() -> str:
        with state.database.read() as session:
            record = _entry(session, submission_id).record
            estimate = record.estimate(record.main_protocol, ALL, GIOU.name)
            value = percent(None if estimate is None else estimate.value, digits(record))
            return draw_badge(f"{state.settings.title} {_short(record)}", f"gIoU {value}")

    return await state.board.respond(request, submission_id, (submission_id,), "image/svg+xml", show, _OF_ALL)


def _short(record: ResultRecord) -> str:
    """Name a split without the config of the official release."""
    return record.split if record.config == DEFAULT_CONFIG else record.split_key


def draw_badge(label: str, value: str) -> str:
    """Draw a badge: a label on grey and a value on green."""
    left, right = (round(_CHARACTER_WIDTH * len(text) + 14) for text in (label, value))
    texts = "".join(
        f'<text x="{x}" y="14" text-anchor="middle">{escape(text)}</text>'
        for x, text in ((left / 2, label), (left + right / 2, value))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f"aria-label={quoteattr(f'{label}: {value}')}>"
        f'<rect width="{left}" height="20" fill="#444b54"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="#00745a"/>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">{texts}</g></svg>\n'
    )


@router.get("/models/{submission_id}/cite.bib")
async def get_citation(request: Request, state: Shared, address: Address, submission_id: ShownId) -> Response:
    """A BibTeX entry for a row."""

    def show() -> str:
        with state.database.read() as session:
            entry = _entry(session, submission_id)
            return cite(entry, state.settings.title, f"{address}{LINKS.model(entry.id)}")

    return await state.board.respond(request, (address, submission_id), (submission_id,), "application/x-bibtex", show)


@router.get("/models/{submission_id}/embed")
async def get_embedded(request: Request, state: Shared, submission_id: ShownId) -> Response:
    """A row for the frame of another page."""

    def show() -> str:
        with state.database.read() as session:
            entry = _entry(session, submission_id)
            return draw("embed.html", LINKS, state.settings.title, **_shown(entry))

    return await state.board.respond(request, submission_id, (submission_id,), "text/html", show, _FRAMED)


@router.get("/models/{submission_id}/share")
async def get_shared(request: Request, state: Shared, address: Address, submission_id: ShownId) -> Response:
    """What to paste elsewhere to show or cite a row."""

    def show() -> str:
        with state.database.read() as session:
            entry = _entry(session, submission_id)
            citation = cite(entry, state.settings.title, f"{address}{LINKS.model(entry.id)}")
            values = {"address": address, "citation": citation, "short": _short(entry.record), **_shown(entry)}
            return draw("share.html", LINKS, state.settings.title, **values)

    return await state.board.respond(request, (address, submission_id), (submission_id,), "text/html", show, _FRAMING)


def _shown(entry: BoardEntry) -> dict[str, Any]:
    record = entry.record
    return {
        "entry": entry,
        "record": record,
        "split": record.split_key,
        "estimate": record.estimate(record.main_protocol, ALL, GIOU.name),
        "protocol": get_protocol(record.main_protocol),
    }


def cite(entry: BoardEntry, title: str, url: str) -> str:
    """Write a BibTeX entry; names are escaped, so that none of them is a command. Its key is that of no other row."""
    year, record = entry.date[:4], entry.record
    name = re.sub(r"[^a-z0-9]+", "", fold(entry.model))[:_KEY_NAME] or "row"
    facts = {
        "title": f"{{{_escape_bibtex(entry.model)}}} on {_escape_bibtex(record.split_key)}, "
        f"{{{_escape_bibtex(title)}}} leaderboard",
        "author": f"{{{_escape_bibtex(entry.team)}}}",
        "year": year,
        "note": f"Published {entry.date}",
        "url": url,
    }
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in facts.items())
    return f"@misc{{{name}{year}-{entry.id[:_KEY_ID]},\n{lines}\n}}\n"


def _escape_bibtex(text: str) -> str:
    """Escape as for LaTeX. BibTeX counts braces whether a backslash is before them or not, so they get names."""
    escaped = escape_latex(text).replace(r"\{", r"\textbraceleft{}").replace(r"\}", r"\textbraceright{}")
    return f"{{}}{escaped}" if escaped.startswith("\\") else escaped  # a brace before a command lowers capitals


def _entry(session: Session, submission_id: str) -> BoardEntry:
    """Find a public row.

    Raises:
        NotThereError: there is none.
    """
    submission = find_submission(session, submission_id, None)
    result = latest_result(session, submission)
    if result is None:
        raise NotThereError
    return entry_of(submission, result)
