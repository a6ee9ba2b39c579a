"""Check the address that a server is to listen on."""

from __future__ import annotations

import errno
import socket

from earthreason.errors import EarthReasonError

_OF_THE_PORT = (errno.EADDRINUSE, errno.EACCES)


def check_free(host: str, port: int) -> None:
    """Check that a server can listen on an address, before anything is loaded.

    Raises:
        EarthReasonError: the address cannot be bound.
    """
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(address)
    except OSError as error:
        option = "--port" if error.errno in _OF_THE_PORT else "--host"
        place = url_of(host, port).removeprefix("http://")
        raise EarthReasonError(f"cannot listen on {place} ({error.strerror}); give another {option}") from None


def url_of(host: str, port: int) -> str:
    """Write the address of a server as browsers take it."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
