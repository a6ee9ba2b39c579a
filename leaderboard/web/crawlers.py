"""What search engines ask for: robots.txt, and sitemaps of bounded size."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..splits import list_splits
from ..submissions import RefusedError
from ..tables import ListedRow
from .api import Address
from .rendering import ServerLinks
from .state import Shared

router = APIRouter()
_MODELS = 1000
"""Models of one sitemap."""
_CLOSED = (
    "/api/",
    "/compare",
    "/progress",
    "/wins",
    "/history",
    "/models/*/history",
    "/models/*/cite.bib",
    "/models/*/badge.svg",
    "/models/*/embed",
    "/models/*/share",
    "/mine",
    "/submit",
    "/sign-in",
    "/join",
    "/team",
    "/admin",
    "/*&",
    "/*?page=",
)
"""Filters, orders and pages of the table have endless addresses; the sitemaps list every model."""
_LINKS = ServerLinks()
_SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"


@router.get("/robots.txt")
async def get_robots(address: Address) -> Response:
    closed = "".join(f"Disallow: {path}\n" for path in _CLOSED)
    return Response(f"User-agent: *\n{closed}\nSitemap: {address}/sitemap.xml\n", media_type="text/plain")


@router.get("/sitemap.xml")
async def get_sitemaps(request: Request, state: Shared, address: Address) -> Response:
    def count(session: Session) -> int:
        return session.scalar(select(func.count()).select_from(ListedRow)) or 0

    parts = 1 + -(-await state.read_for(request, count) // _MODELS)
    return _xml("sitemapindex", "sitemap", [(f"{address}/sitemaps/{number}.xml", "") for number in range(parts)])


@router.get("/sitemaps/{number}.xml")
async def get_sitemap(
    request: Request, state: Shared, address: Address, number: Annotated[int, Path(ge=0, le=50_000)]
) -> Response:
    """Sitemap 0 lists the other pages, each later one a thousand models."""

    def read_pages(session: Session) -> list[tuple[str, str]]:
        tables = [f"/?{urlencode({'split': split.key})}" for split in list_splits(session)]
        return [(f"{address}{path}", "") for path in ("/", *tables, "/published", "/scoring", "/api")]

    def read_models(session: Session) -> list[tuple[str, str]]:
        first = (number - 1) * _MODELS
        chosen = select(ListedRow.entry_id, ListedRow.day).order_by(ListedRow.id).limit(_MODELS).offset(first)
        return [(f"{address}{_LINKS.model(entry)}", day) for entry, day in session.execute(chosen)]

    pages = await state.read_for(request, read_models if number else read_pages)
    if not pages:
        raise RefusedError("there is no such sitemap", status=404)
    return _xml("urlset", "url", pages)


def _xml(outer: str, inner: str, pages: list[tuple[str, str]]) -> Response:
    lines = [
        f"<{inner}><loc>{escape(location)}</loc>{f'<lastmod>{day}</lastmod>' if day else ''}</{inner}>"
        for location, day in pages
    ]
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{outer} xmlns="{_SITEMAP}">\n' + "\n".join(lines)
    return Response(f"{text}\n</{outer}>\n", media_type="application/xml")
