"""Limits on the bodies of requests: how slowly they may arrive, and words for those that are too large."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from earthreason.web.asgi import App, Message, Receive, Scope, Send


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
        began, received, complete, late, answered = time.monotonic(), 0, False, False, False

        async def receive_in_time() -> Message:
            nonlocal received, complete, late
            if complete:
                return await receive()
            left = self.grace + received / self.rate - (time.monotonic() - began)
            try:
                message = await asyncio.wait_for(receive(), max(left, 0))
            except TimeoutError:
                late = True
                raise BodyTooSlowError from None
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            return message

        async def watched_send(message: Message) -> None:
            nonlocal answered
            if late and not answered:  # FastAPI makes an answer of its own of any error in a form
                raise BodyTooSlowError
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
