"""Pack answers as browsers ask for it."""

from __future__ import annotations

import gzip

import brotli
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware

from earthreason.web.asgi import App, Message, Receive, Scope, Send

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


class PackedAsAsked:
    """Packs by gzip what is not kept packed, for those who take it, and says once that this depends on the request."""

    def __init__(self, app: App, smallest: int, level: int) -> None:
        self.app, self.packed = app, GZipMiddleware(app, minimum_size=smallest, compresslevel=level)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        takes_gzip = "gzip" in choose_packing(Headers(scope=scope).get("accept-encoding", ""))

        async def send_once(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                named = [name.strip() for line in headers.getlist("vary") for name in line.split(",")]
                headers["Vary"] = ", ".join(dict.fromkeys([*filter(None, named), "Accept-Encoding"]))
            await send(message)

        await (self.packed if takes_gzip else self.app)(scope, receive, send_once)
