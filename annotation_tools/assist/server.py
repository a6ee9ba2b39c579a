"""Label Studio's ML-backend protocol: health, setup, predict, webhook and versions."""

from __future__ import annotations

import base64
import json
import logging
import secrets
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.web.guards import KnownHosts, hosts_of

from ..labelstudio.client import LabelStudioError
from .assistant import Assistant, BrushControl, BusyError, brush_control

LARGEST_BODY = 64 * 2**20
"""Largest request, bytes; tasks come with their brush masks as lists of numbers."""
MOST_TASKS = 100
"""Largest number of tasks in a request, Label Studio's own batch size."""
_LOG = logging.getLogger(__name__)


class _RequestError(EarthReasonError):
    """A request that cannot be answered, with its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def create_app(assistant: Assistant, key: str | None = None, hosts: Sequence[str] = ("*",)) -> FastAPI:
    """Create the web application.

    Args:
        assistant: model with its pictures.
        key: password that every request must carry (HTTP basic, any user name); None for none.
        hosts: accepted host names; they guard against other sites whose name resolves to this machine.
    """
    app = FastAPI(title="EarthReason assist", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(KnownHosts, hosts=hosts)

    @app.exception_handler(EarthReasonError)
    async def refuse(request: Request, error: EarthReasonError) -> JSONResponse:
        status, line = _status_of(error), " ".join(str(error).split())
        _LOG.warning("%s %s: %d %s", request.method, request.url.path, status, line)
        return JSONResponse({"detail": line}, status)

    def check_key(request: Request) -> None:
        if key is not None and not secrets.compare_digest(_password(request).encode(), key.encode()):
            raise _RequestError(401, "the access key is missing or wrong; connect with --key")

    @app.get("/health")
    @app.get("/")
    async def health(request: Request) -> dict[str, str]:
        check_key(request)
        return {"status": "UP", "model_class": assistant.name}

    @app.get("/versions")
    async def versions(request: Request) -> dict[str, list[str]]:
        check_key(request)
        return {"versions": [assistant.name]}

    @app.post("/setup")
    async def setup(request: Request) -> dict[str, str]:
        check_key(request)
        body = await _json_of(request)
        brush_control(_text(body, "schema"))  # Label Studio shows the fault when the backend is added
        return {"model_version": assistant.name}

    @app.post("/predict")
    async def predict(request: Request) -> dict[str, Any]:
        check_key(request)
        body = await _json_of(request)
        tasks, results = _tasks(body), _shown(body)
        control = brush_control(_text(body, "label_config"))
        answers = [await run_in_threadpool(_answer, assistant, task, control, results) for task in tasks]
        return {"results": answers, "model_version": assistant.name}

    @app.post("/webhook")
    async def webhook(request: Request) -> dict[str, str]:
        check_key(request)
        await _json_of(request)
        return {"status": "ignored: this model does not learn from annotations"}

    return app


def serve(assistant: Assistant, host: str, port: int, key: str | None) -> None:
    """Serve until interrupted."""
    import uvicorn

    uvicorn.run(create_app(assistant, key, hosts_of(host)), host=host, port=port, log_level="warning", access_log=False)


def _answer(
    assistant: Assistant, task: dict[str, Any], control: BrushControl, results: list[dict[str, Any]] | None
) -> dict[str, Any]:
    return assistant.answer(task, control, results)


def _status_of(error: EarthReasonError) -> int:
    if isinstance(error, _RequestError):
        return error.status
    if isinstance(error, BusyError):
        return 503
    if isinstance(error, LabelStudioError):
        return 502
    return 400 if isinstance(error, DataFormatError) else 500


def _password(request: Request) -> str:
    kind, _, coded = request.headers.get("authorization", "").partition(" ")
    try:
        return base64.b64decode(coded).decode().partition(":")[2] if kind.lower() == "basic" else ""
    except ValueError:
        return ""


async def _json_of(request: Request) -> dict[str, Any]:
    """Read a JSON object of limited size. Other media types are refused: pages of other sites can send only those."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _RequestError(415, "the body must be sent as application/json")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise _RequestError(413, f"the body is larger than {LARGEST_BODY >> 20} MiB")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _RequestError(400, f"the body is not JSON ({str(error) or type(error).__name__})") from None
    if not isinstance(value, dict):
        raise _RequestError(400, f"the body is a JSON {type(value).__name__}, not an object")
    return value


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise _RequestError(400, f"{name!r} must be a labelling configuration in XML")
    return value


def _tasks(body: dict[str, Any]) -> list[dict[str, Any]]:
    tasks = body.get("tasks")
    is_list = isinstance(tasks, list) and all(isinstance(t, dict) and isinstance(t.get("data"), dict) for t in tasks)
    if not is_list:
        raise _RequestError(400, "'tasks' must be a list of objects with 'data'")
    if len(tasks) > MOST_TASKS:  # type: ignore[arg-type]
        raise _RequestError(400, f"{len(tasks)} tasks in one request; at most {MOST_TASKS}")  # type: ignore[arg-type]
    return list(tasks)  # type: ignore[arg-type]


def _shown(body: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the clicks and boxes of a request; None if it asks for predictions without them."""
    parameters = body.get("params") or {}
    context = parameters.get("context") if isinstance(parameters, dict) else parameters
    if not context:
        return None
    results = context.get("result") if isinstance(context, dict) else None
    if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
        raise _RequestError(400, "'params.context' must be an object with a list 'result'")
    return results
