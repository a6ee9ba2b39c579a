"""Serve the review page."""

from __future__ import annotations

from annotation_tools.review.app import create_app
from annotation_tools.review.large import share_memory
from annotation_tools.review.store import ReviewStore

_LOOPBACK = ("127.0.0.1", "localhost")


def serve(store: ReviewStore, host: str, port: int) -> None:
    """Serve a review until interrupted."""
    import uvicorn

    share_memory()
    hosts = _LOOPBACK if host in _LOOPBACK else ("*",)
    uvicorn.run(create_app(store, hosts), host=host, port=port, log_level="warning", access_log=False)
