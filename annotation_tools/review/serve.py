"""Serve a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import FastAPI

from annotation_tools.review.app import create_app
from annotation_tools.review.large import share_memory
from annotation_tools.review.roles import Roles
from annotation_tools.review.store import ReviewStore
from earthreason.web.guards import hosts_of


def serve(store: ReviewStore, host: str, port: int, roles: Roles) -> None:
    """Serve a review to its people until interrupted."""
    serve_app(lambda hosts: create_app(store, hosts, roles), host, port)


def serve_app(make: Callable[[Sequence[str]], FastAPI], host: str, port: int) -> None:
    """Serve an application until interrupted; `make` gets the host names that it may answer to."""
    import uvicorn

    share_memory()
    uvicorn.run(make(hosts_of(host)), host=host, port=port, log_level="warning", access_log=False)
