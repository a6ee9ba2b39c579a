"""Serve a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import FastAPI

from earthreason.web.guards import hosts_of

from .app import create_app
from .large import share_memory
from .roles import Roles
from .store import ReviewStore


def serve(store: ReviewStore, host: str, port: int, roles: Roles) -> None:
    """Serve a review to its people until interrupted."""
    serve_app(lambda hosts: create_app(store, hosts, roles), host, port)


def serve_app(make: Callable[[Sequence[str]], FastAPI], host: str, port: int) -> None:
    """Serve an application until interrupted; `make` gets the host names that it may answer to."""
    import uvicorn

    share_memory()
    uvicorn.run(make(hosts_of(host)), host=host, port=port, log_level="warning", access_log=False)
