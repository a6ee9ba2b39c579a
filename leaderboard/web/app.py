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
from starlette.routing import compile_path

import earthreason
from earthreason.errors import EarthReasonError, UnknownNameError, describe_validation_error
from leaderboard.availability import UnavailableError, cause_of
from leaderboard.database import Database
from leaderboard.logs import say
from leaderboard.records import RecordError
from leaderboard.settings import Settings
from leaderboard.submissions import RefusedError
from leaderboard.web import api, edit_api, edit_pages, health, pages
from leaderboard.web.guard import Guesses, ImpatientWithBodies, RequestLog, SafeHeaders
from leaderboard.web.rendering import render_error
from leaderboard.web.state import Board, State

STATIC = Path(__file__).parent.parent / "static"
RETRY = {"Retry-After": "2"}
_FORM_BYTES = 1 << 20
"""Bytes that a body may have beyond the largest predictions file."""


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
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
        max_body_size=settings.max_upload_bytes + _FORM_BYTES,
    )
    app.state.board = State(database, settings, Board(database), Guesses(settings.guesses_per_minute))
    app.include_router(api.router)
    app.include_router(edit_api.router)
    app.include_router(health.router)
    app.include_router(pages.router, include_in_schema=False)
    app.include_router(edit_pages.router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(ImpatientWithBodies, grace=settings.upload_seconds, rate=settings.min_upload_rate)
    app.add_middleware(RequestLog, broken=_broken, hash_addresses=settings.hash_addresses)
    app.add_middleware(SafeHeaders)
    _add_fault_handlers(app)
    return app


def _add_fault_handlers(app: FastAPI) -> None:
    @app.exception_handler(EarthReasonError)
    async def refused(request: Request, error: EarthReasonError) -> Response:
        return tell(request, _status_of(error), str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return tell(request, 422, describe_validation_error(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405:  # the framework names the methods of one route only
            headers["Allow"] = ", ".join(_methods(app, request.url.path)) or headers.get("Allow", "GET")
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


def _methods(app: FastAPI, path: str) -> list[str]:
    """List the methods that the API has at a path."""
    described = app.openapi()["paths"].items()
    return [method.upper() for pattern, calls in described if compile_path(pattern)[0].match(path) for method in calls]


def _status_of(error: EarthReasonError) -> int:
    if isinstance(error, RefusedError):
        return error.status
    if isinstance(error, UnknownNameError):
        return 404
    return 422 if isinstance(error, RecordError) else 400


def tell(request: Request, status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with an error: JSON for the API, a page for a reader."""
    headers = dict(headers or {})
    if status == 401 and request.url.path.startswith("/api/"):
        headers["WWW-Authenticate"] = "Bearer"
    if request.url.path.startswith("/api/") or request.url.path in ("/health", "/metrics"):
        return JSONResponse({"error": message}, status, headers)
    return render_error(request, status, message, headers)
