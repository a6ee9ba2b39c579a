"""What the board asks of every request: its security headers, its log, and a limit on wrong tokens."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from earthreason.web.asgi import App, Receive, Scope, Send, StatusNote
from earthreason.web.guards import content_policy, safe_headers

from ..logs import log, say

CONTENT_POLICY = content_policy()
HEADERS = safe_headers(CONTENT_POLICY, referrer="same-origin")


class RequestLog:
    """Logs requests (those that change nothing and succeed at DEBUG), and logs and answers exceptions.

    `broken` makes the answer to an exception. With `hash_addresses` the log tells clients apart, but nobody can find
    their addresses from it: the key of the hash is forgotten when the process ends.
    """

    def __init__(self, app: App, broken: Callable[[Request], Response], hash_addresses: bool = False) -> None:
        self.app, self.broken = app, broken
        self.key = secrets.token_bytes(32) if hash_addresses else None

    def _client(self, scope: Scope) -> str:
        address = str((scope.get("client") or ("unknown",))[0])
        if self.key is None:
            return address
        return hashlib.blake2b(address.encode(), key=self.key, digest_size=8).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, answer = time.perf_counter(), StatusNote(send)
        try:
            await self.app(scope, receive, answer)
        except Exception:
            log.error("fault", exc_info=True, extra={"facts": {"path": scope["path"], "client": self._client(scope)}})
            if answer.status:
                raise
            await self.broken(Request(scope))(scope, receive, answer)
        status = answer.status
        level = logging.INFO if status >= 400 or scope["method"] not in ("GET", "HEAD") else logging.DEBUG
        milliseconds = round(1000 * (time.perf_counter() - began), 1)
        facts = {"method": scope["method"], "path": scope["path"], "status": status, "milliseconds": milliseconds}
        say("request", level, **facts, client=self._client(scope))


class Guesses:
    """Counts the wrong tokens of the last minute by address."""

    def __init__(self, limit: int, addresses: int = 10_000) -> None:
        self.limit, self.addresses = limit, addresses
        self._times: OrderedDict[str, list[float]] = OrderedDict()

    def count(self, address: str) -> None:
        """Count a wrong token."""
        self._times.setdefault(address, []).append(time.monotonic())
        self._times.move_to_end(address)
        while len(self._times) > self.addresses:
            self._times.popitem(last=False)

    def too_many(self, address: str) -> bool:
        """Tell whether the address has to wait."""
        since = time.monotonic() - 60
        recent = [moment for moment in self._times.get(address, ()) if moment > since]
        if recent:
            self._times[address] = recent
        else:
            self._times.pop(address, None)
        return len(recent) >= self.limit
