"""The address of a model server."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from earthreason.errors import EarthReasonError

OPENAI = "https://api.openai.com/v1"
_VARIABLE = "OPENAI_BASE_URL"
"""Where the `openai` client looks for an address."""


def server_address(base_url: str | None) -> str | None:
    """Return the address that requests go to, without a slash at its end; None means OpenAI.

    Args:
        base_url: address that the user gave; None takes the one in the variable OPENAI_BASE_URL, if it is set.

    Raises:
        EarthReasonError: it is no address.
    """
    origin = _VARIABLE if base_url is None else "--base-url"
    address = os.environ.get(_VARIABLE) or None if base_url is None else base_url
    if address is None:
        return None
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        valid = valid and address.isprintable() and " " not in address
        str(parts.hostname).encode("idna")
    except ValueError:
        valid = False
    if not valid:
        raise EarthReasonError(f"{origin} {address!r}: not an address; write one such as http://localhost:8000/v1")
    plain = address.rstrip("/")
    return None if plain == OPENAI else plain
