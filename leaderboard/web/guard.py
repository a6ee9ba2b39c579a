"""Middleware for every request: security headers, logging, and limits on slow clients and token guesses."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response

from leaderboard.logs import log, say

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class SafeHeaders:
    """Adds the security headers to every answer."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


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
        began, status = time.perf_counter(), 0

        async def noting_send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, noting_send)
        except Exception:
            log.error("fault", exc_info=True, extra={"facts": {"path": scope["path"], "client": self._client(scope)}})
            if status:
                raise
            await self.broken(Request(scope))(scope, receive, noting_send)
        level = logging.INFO if status >= 400 or scope["method"] not in ("GET", "HEAD") else logging.DEBUG
        milliseconds = round(1000 * (time.perf_counter() - began), 1)
        facts = {"method": scope["method"], "path": scope["path"], "status": status, "milliseconds": milliseconds}
        say("request", level, **facts, client=self._client(scope))


class BodyTooSlowError(TimeoutError):
    """A body arrives too slowly."""


class ImpatientWithBodies:
    """Ends a request whose body arrives at less than `rate` bytes per second after `grace` seconds."""

    def __init__(self, app: App, grace: float, rate: int) -> None:
        self.app, self.grace, self.rate = app, grace, rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, received, complete, answered = time.monotonic(), 0, False, False

        async def receive_in_time() -> Message:
            nonlocal received, complete
            if complete:
                return await receive()
            left = self.grace + received / self.rate - (time.monotonic() - began)
            try:
                message = await asyncio.wait_for(receive(), max(left, 0))
            except TimeoutError:
                raise BodyTooSlowError from None
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            return message

        async def watched_send(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self.app(scope, receive_in_time, watched_send)
        except BodyTooSlowError:
            if not answered:
                body = b'{"error": "the request arrived too slowly"}'
                headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
                await send({"type": "http.response.start", "status": 408, "headers": headers})
                await send({"type": "http.response.body", "body": body})


class ExplainsLimits:
    """Replaces the bare words with which the framework refuses a body that is too large."""

    def __init__(self, app: App, too_large: Callable[[Request], Response]) -> None:
        self.app, self.too_large = app, too_large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = False

        async def explaining_send(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] == 413:
                refused = dict(message["headers"]).get(b"content-type", b"").startswith(b"text/plain")
                if refused:
                    await self.too_large(Request(scope))(scope, receive, send)
            if not refused:
                await send(message)

        await self.app(scope, receive, explaining_send)


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
