"""Assemble the application: routes, guards and error answers."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.routing import compile_path

import earthreason
from earthreason.errors import EarthReasonError, describe_validation_error
from earthreason.web.bodies import ExplainsLimits, ImpatientWithBodies
from earthreason.web.guards import SafeHeaders

from ..availability import UnavailableError, cause_of
from ..database import Database
from ..logs import say
from ..settings import Settings
from . import (
    admin_pages,
    api,
    board_api,
    crawlers,
    edit_api,
    edit_pages,
    health,
    joining,
    member_pages,
    pages,
    progress_page,
    sharing,
    team_pages,
    wins_page,
)
from .cache import Board
from .errors import status_of
from .guard import HEADERS, Guesses, RequestLog
from .limits import Budgets, Drawing, TooManyError
from .methods import HeadLikeGet, OpenToScripts, Tagged
from .packing import PackedAsAsked
from .rendering import render_error
from .state import State, get_state

STATIC = Path(__file__).parent.parent / "static"
RETRY = {"Retry-After": "2"}
_FORM_BYTES = 1 << 20
"""Bytes that a body may have beyond the largest predictions file."""
_SMALLEST_PACKED, _GZIP_LEVEL = 1000, 5
_CHANGES_AT_ONCE = 30
_MAILS_AT_ONCE = 10


def create_app(settings: Settings, database: Database | None = None) -> FastAPI:
    """Create the web application. On start it opens the database and brings its tables up to date."""
    database = database or Database(settings.database_url)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database.wait(60)
        database.migrate()
        say("web started", database=database.engine.dialect.name)
        yield
        database.engine.dispose()

    app = FastAPI(
        title=f"{settings.title} leaderboard",
        version=earthreason.__version__,
        docs_url=None,  # its page loads scripts from another site; ours is rendered from the same description
        redoc_url=None,
        openapi_url=None,  # kept like a page, by board_api
        lifespan=lifespan,
    )
    app.state.board = _make_state(settings, database)
    for described in (api.router, edit_api.router, board_api.router, health.router):
        app.include_router(described)
    own = (team_pages.router, edit_pages.router, joining.router, member_pages.router, admin_pages.router)
    for page in (pages.router, progress_page.router, wins_page.router, *own, sharing.router, crawlers.router):
        app.include_router(page, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=settings.max_upload_bytes + _FORM_BYTES)
    app.add_middleware(Tagged)
    app.add_middleware(PackedAsAsked, smallest=_SMALLEST_PACKED, level=_GZIP_LEVEL)
    app.add_middleware(ImpatientWithBodies, grace=settings.upload_seconds, rate=settings.min_upload_rate)
    app.add_middleware(ExplainsLimits, too_large=_too_large)
    app.add_middleware(OpenToScripts)
    app.add_middleware(HeadLikeGet)
    app.add_middleware(RequestLog, broken=_broken, hash_addresses=settings.hash_addresses)
    app.add_middleware(SafeHeaders, headers=HEADERS)
    _add_fault_handlers(app)
    return app


def _make_state(settings: Settings, database: Database) -> State:
    drawing = Drawing(settings.drawing_seconds, settings.drawing_share)
    changes = Budgets(_CHANGES_AT_ONCE, settings.changes_per_minute / 60)
    mails, guesses = Budgets(_MAILS_AT_ONCE, _MAILS_AT_ONCE / 3600), Guesses(settings.guesses_per_minute)
    return State(database, settings, Board(database, drawing), drawing, changes, mails, guesses)


def _add_fault_handlers(app: FastAPI) -> None:
    @app.exception_handler(EarthReasonError)
    async def refused(request: Request, error: EarthReasonError) -> Response:
        headers = {"Retry-After": str(error.seconds)} if isinstance(error, TooManyError) else None
        return tell(request, status_of(error), str(error), headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return tell(request, 422, describe_validation_error(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405:  # the framework names the methods of one route only
            methods = _methods(app, request.url.path) or headers.get("Allow", "GET").split(", ")
            headers["Allow"] = ", ".join(_with_head(methods))
        return tell(request, error.status_code, str(error.detail), headers)

    @app.exception_handler(UnavailableError)
    @app.exception_handler(OSError)
    async def unavailable(request: Request, error: OSError) -> Response:
        cause = cause_of(error)
        if cause is None:
            raise error
        reason = error.reason if isinstance(error, UnavailableError) else str(error.strerror)
        say("database unavailable", logging.ERROR, path=request.url.path, cause=cause.value, reason=reason)
        message = f"{cause.sentence}, so nothing was changed; try again later"
        if request.url.path == health.PATH:
            return JSONResponse({"status": cause.value, "error": cause.sentence}, 503, RETRY)
        return tell(request, 503, message, RETRY)


def _broken(request: Request) -> Response:
    return tell(request, 500, "internal error; the organisers can find it in the log")


def _too_large(request: Request) -> Response:
    most = get_state(request).settings.max_upload_mib
    sent = "the request has more text than this page or call takes"
    if request.url.path == "/submit" or request.url.path.endswith("/predictions"):
        sent = f"the file is over {most} MiB; nothing was submitted"
    return tell(request, 413, sent)


def _methods(app: FastAPI, path: str) -> list[str]:
    """List the methods that the API has at a path."""
    described = app.openapi()["paths"].items()
    return [method.upper() for pattern, calls in described if compile_path(pattern)[0].match(path) for method in calls]


def _with_head(methods: list[str]) -> list[str]:
    """Add HEAD to listed methods if GET is one of them."""
    return [*methods, "HEAD"] if "GET" in methods and "HEAD" not in methods else methods


def tell(request: Request, status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with an error: JSON for the API, a page for a reader."""
    headers = dict(headers or {})
    if status == 401 and request.url.path.startswith("/api/"):
        headers["WWW-Authenticate"] = "Bearer"
    if request.url.path.startswith("/api/") or request.url.path in ("/health", "/metrics"):
        return JSONResponse({"error": message}, status, headers)
    return render_error(request, status, message, headers)
