"""Pack pages as browsers ask for it."""

from __future__ import annotations

import gzip

import brotli

_GZIP_LEVEL, _BROTLI_QUALITY = 6, 5
_SMALLEST = 500
"""Fewest bytes that are worth packing."""
_PREFERRED = ("br", "gzip")


def pack(body: bytes) -> dict[str, bytes]:
    """Pack a page in every way that makes it shorter."""
    if len(body) < _SMALLEST:
        return {}
    packed = {
        "br": brotli.compress(body, quality=_BROTLI_QUALITY),
        "gzip": gzip.compress(body, compresslevel=_GZIP_LEVEL, mtime=0),
    }
    return {name: content for name, content in packed.items() if len(content) < len(body)}


def choose_packing(accepted: str) -> list[str]:
    """List the packings that an Accept-Encoding header allows, the preferred first."""
    weights = {}
    for part in accepted.lower().split(","):
        name, _, parameters = part.partition(";")
        key, _, weight = parameters.partition("=")
        try:
            weights[name.strip()] = float(weight) if key.strip() == "q" else 1.0
        except ValueError:
            weights[name.strip()] = 0.0
    return [name for name in _PREFERRED if weights.get(name, weights.get("*", 0.0)) > 0]
