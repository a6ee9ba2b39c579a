"""Load the models and run the server until it is told to end."""

from __future__ import annotations

import json
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

from earthreason.cli.ports import check_free, url_of
from earthreason.errors import EarthReasonError
from earthreason.geo.model import TileModel
from earthreason.web.connections import PatientWithFew, allow_connections

from ..registry import PredictorOptions, build_predictor
from .app import make_app
from .settings import Settings

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_PATIENCE = 30
"""Seconds that running requests have to end."""


@contextmanager
def open_port(host: str, port: int) -> Iterator[socket.socket]:
    """Take a port before anything is loaded; nobody is let in until the server listens.

    Raises:
        EarthReasonError: the address cannot be bound.
    """
    check_free(host, port)
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
        except OSError as error:
            raise EarthReasonError(f"cannot listen on {host}:{port} ({error.strerror}); give another --port") from None
        yield listening


def load_models(
    checkpoint: str, model: str | None, devices: Sequence[str], dtype: str, task: str | None
) -> list[TileModel]:
    """Load a model once for each device.

    Args:
        checkpoint: folder, Hub id or shipped name of the weights.
        model: name of the model; None takes the one that the checkpoint states.
        devices: torch devices.
        dtype: data type of the weights.
        task: kind of question; None takes the checkpoint's.

    Raises:
        EarthReasonError: the checkpoint cannot be loaded, or its model cannot score tiles.
    """
    name = model or model_of(checkpoint)
    loaded: list[Any] = [
        build_predictor(name, PredictorOptions(checkpoint=checkpoint, device=device, dtype=dtype, task=task))
        for device in devices
    ]
    if not hasattr(loaded[0], "score_tiles"):
        raise EarthReasonError(f"--model {name}: it gives no probabilities; choose a trained model")
    return loaded


def model_of(checkpoint: str) -> str:
    """Return the name of the model that a checkpoint states in its config.json.

    Raises:
        EarthReasonError: the checkpoint is missing, or does not say.
    """
    from ..common.predictor import find_config

    path = find_config(checkpoint)
    try:
        name = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError):
        name = None
    if not isinstance(name, str):
        raise EarthReasonError(f"{path}: does not name its model; give --model")
    return name


class _Server(uvicorn.Server):
    """uvicorn's server that says where it listens, and refuses waiting requests as soon as it is told to end."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None], ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._told_started, self._ending = started, ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if not self.should_exit:
            self._told_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._ending()


def serve_app(
    models: Sequence[TileModel], settings: Settings, listening: socket.socket, started: Callable[[str], None]
) -> None:
    """Serve until the process is told to end: Ctrl-C raises KeyboardInterrupt, SIGTERM returns.

    Args:
        models: the model on each device.
        settings: settings of the server.
        listening: bound socket.
        started: called with the address once requests are answered.

    Raises:
        EarthReasonError: the folder of scenes is missing.
    """
    app = make_app(models, settings)
    PatientWithFew.most_connections = allow_connections()
    host, port = listening.getsockname()[:2]
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=_PATIENCE,
        http=PatientWithFew,
    )
    server = _Server(
        config, lambda: started(url_of(_EVERYWHERE.get(host, host), port)), app.state.serve.jobs.close_soon
    )
    # What is half written lies there too, so that the next server removes it if this one is killed.
    scratch, tempfile.tempdir = tempfile.tempdir, str(app.state.serve.results.folder)
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises the signal again when it has ended
    try:
        server.run(sockets=[listening])
    finally:
        signal.signal(signal.SIGTERM, before)
        tempfile.tempdir = scratch
