"""Addresses that servers listen on."""

from __future__ import annotations

import socket

from earthreason.errors import EarthReasonError


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
