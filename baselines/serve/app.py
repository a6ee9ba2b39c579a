"""Assemble the application: routes, guards, limits and error answers."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.body_limit import RequestBodyLimitMiddleware

import earthreason
from earthreason.errors import EarthReasonError
from earthreason.geo.model import TileModel
from earthreason.web.asgi import App, Receive, Scope, Send, StatusNote
from earthreason.web.bodies import ExplainsLimits, ImpatientWithBodies
from earthreason.web.guards import content_policy, guard_pages, tell_faults_as_json

from . import asking, browsing, downloads
from .jobs import JobQueue
from .metrics import Measures
from .results import Results
from .samples import Samples
from .scenes import Scenes
from .segmenting import answer_scene
from .settings import RefusedError, Settings
from .state import State
from .worker import Answer, StoppedError, Worker

HERE = Path(__file__).parent
logger = logging.getLogger(__name__)
_POLICY = content_policy(images=["data:", "blob:"], workers=["blob:"])
_FORM_BYTES = 1 << 20
"""Bytes that a request may have besides the picture."""
_JOIN_SECONDS = 30.0
_PARTS = ("api", "segment", "results", "static", "health", "metrics", "openapi.json")


def make_app(model: TileModel | Sequence[TileModel], settings: Settings, answer: Answer | None = None) -> FastAPI:
    """Create the application.

    Args:
        model: model to ask, or several of one kind on different devices; each has a thread of its own.
        settings: settings of the server.
        answer: answers questions about a scene with a model; None takes `answer_scene`.

    Raises:
        DataNotFoundError: the folder of scenes is missing.
    """
    settings.check()
    models = list(model) if isinstance(model, Sequence) else [model]
    scenes, jobs, measures = Scenes(settings.scenes), JobQueue(settings.queue), Measures()
    asked: Answer = answer or partial(answer_scene, checkpoint=settings.checkpoint)
    workers = [Worker(each, jobs, asked, measures) for each in models]
    results = Results(settings.folder, 60 * settings.keep_minutes, settings.kept_bytes)
    state = State(settings, models[0], scenes, Samples(), results, jobs, measures)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        for worker in workers:
            worker.start()
        yield
        jobs.close()
        for worker in workers:
            worker.join(_JOIN_SECONDS)
        scenes.close()
        results.close()

    app = FastAPI(
        title="EarthReason serve",
        version=earthreason.__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.serve = state
    for router in (asking.router, browsing.router, downloads.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.add_api_route("/", _page, response_class=HTMLResponse, include_in_schema=False)
    most = settings.upload_mb * 1_000_000 + _FORM_BYTES
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=most)
    app.add_middleware(ImpatientWithBodies, grace=settings.upload_seconds, rate=settings.upload_rate)
    app.add_middleware(ExplainsLimits, too_large=lambda _: _too_large(settings))
    app.add_middleware(_Counted, measures=measures)
    guard_pages(app, settings.hosts, _POLICY)
    tell_faults_as_json(app)
    app.add_exception_handler(413, lambda *_: _too_large(settings))
    app.add_exception_handler(EarthReasonError, _tell)
    app.add_exception_handler(StoppedError, _tell)
    return app


class _Counted:
    """Counts answers by the first part of the path, and answers exceptions in one line."""

    def __init__(self, app: App, measures: Measures) -> None:
        self.app, self.measures = app, measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = StatusNote(send)
        try:
            await self.app(scope, receive, answer)
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            if answer.status:
                raise
            line = "internal error; the log of the server has the reason"
            await JSONResponse({"error": line}, 500)(scope, receive, answer)
        finally:
            part = scope["path"].split("/")[1] if scope["path"].startswith("/") else ""
            self.measures.add_request(f"/{part}" if part in _PARTS or not part else "other", answer.status)


def _page() -> Response:
    return HTMLResponse((HERE / "templates" / "index.html").read_text(encoding="utf-8"))


def _too_large(settings: Settings) -> Response:
    return JSONResponse({"error": f"the upload is over {settings.upload_mb} MB"}, 413, {"Connection": "close"})


async def _tell(request: Request, error: Exception) -> Response:
    headers: dict[str, str] = {}
    status: Any = 422
    if isinstance(error, RefusedError):
        status = error.status
        if error.retry_seconds is not None:
            headers["Retry-After"] = str(error.retry_seconds)
    elif isinstance(error, StoppedError):
        return JSONResponse({"error": "nobody waited for the answer"}, 503)
    state: State = request.app.state.serve
    line = state.without_folders(" ".join(str(error).split()))
    return JSONResponse({"error": line}, status, headers)
