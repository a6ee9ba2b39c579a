"""Check the address that a server is to listen on."""

from __future__ import annotations

import socket

from earthreason.errors import EarthReasonError


def check_free(host: str, port: int) -> None:
    """Check that a server can listen on an address, before anything is loaded.

    Raises:
        EarthReasonError: the address cannot be bound.
    """
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            raise EarthReasonError(f"cannot listen on {host}:{port} ({error.strerror}); give another --port") from None
