"""The addresses at which people reach a server that listens on a host."""

from __future__ import annotations

from earthreason.cli.ports import url_of

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Hosts that mean all addresses of a machine, and the one by which the machine reaches itself."""


def local_url(host: str, port: int) -> str:
    """Return the URL at which this machine reaches a server that listens on a host."""
    return url_of(_EVERYWHERE.get(host, host), port)


def remote_hint(host: str) -> str:
    """Say how other machines reach a server that listens on all addresses; empty for other hosts."""
    if host not in _EVERYWHERE:
        return ""
    return f"from other machines: the same URL with the name or address of this one in place of {_EVERYWHERE[host]}"
