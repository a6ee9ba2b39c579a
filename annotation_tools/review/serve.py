"""Run the review page until it is stopped."""

from __future__ import annotations

import socket

from annotation_tools.review.app import create_app
from annotation_tools.review.store import ReviewStore
from earthreason.errors import EarthReasonError


def serve(store: ReviewStore, host: str, port: int) -> None:
    """Serve a review; returns when it is interrupted.

    Raises:
        EarthReasonError: the address is taken.
    """
    import uvicorn

    check_free(host, port)
    uvicorn.run(create_app(store), host=host, port=port, log_level="warning", access_log=False)


def check_free(host: str, port: int) -> None:
    """Say early that an address cannot be listened on.

    Raises:
        EarthReasonError: it cannot.
    """
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            raise EarthReasonError(f"cannot listen on {host}:{port} ({error.strerror}); give another --port") from None
