"""What the pages of this package share: headers, refusals of requests from elsewhere, and errors as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from earthreason.errors import EarthReasonError
from earthreason.plurals import count_of
from earthreason.web.guards import content_policy, guard_pages, tell_faults_as_json

from .database import ConflictError, OtherReviewError
from .large import Box

_POLICY = content_policy(images=["data:"])


def make_app(title: str, hosts: Sequence[str]) -> FastAPI:
    """Create an application that answers only its own pages and tells errors as JSON.

    Args:
        title: name of the application.
        hosts: accepted host names; they guard against other sites whose name resolves to this machine.
    """
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None)
    guard_pages(app, hosts, _POLICY)
    tell_faults_as_json(app)

    @app.exception_handler(EarthReasonError)
    async def refuse(_: Request, error: EarthReasonError) -> JSONResponse:
        body = {"error": str(error), "other_review": isinstance(error, OtherReviewError)}
        status = 409 if isinstance(error, ConflictError) else 403 if isinstance(error, PermissionError) else 404
        return JSONResponse(body, status)

    return app


def make_pages(folders: Sequence[Path], shared: str) -> Environment:
    """Create the environment of the pages.

    Args:
        folders: folders of templates; the first that has a template is used.
        shared: address below which the style sheet and scripts of `review` are served.
    """
    pages = Environment(loader=FileSystemLoader(folders), autoescape=True, undefined=StrictUndefined)
    pages.globals |= {"shared": shared, "count_of": count_of}
    return pages


def parse_box(text: str) -> Box | None:
    """Parse left, top, width and height; return None, the whole image, if the text is empty.

    Raises:
        EarthReasonError: the text is not four whole numbers.
    """
    if not text:
        return None
    try:
        left, top, width, height = map(int, text.split(","))
    except ValueError:
        raise EarthReasonError(f"box {text!r}: give left,top,width,height in pixels") from None
    return left, top, width, height


def clean_name(text: str) -> str:
    """Check a person's name and normalise its spaces.

    Raises:
        EarthReasonError: the name is empty, too long or not printable.
    """
    name = " ".join(text.split())
    if not name or len(name) > 60 or not name.isprintable():
        raise EarthReasonError("a name must have 1 to 60 printable characters")
    return name
