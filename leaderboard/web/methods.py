"""Middleware for what all answers have in common: HEAD, tags by which a copy is recognised, access for other sites."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware

from earthreason.web.asgi import App, Message, Receive, Scope, Send

from .cache import matches, tag_of


class _AnsweredError(Exception):
    """The head has left, so the body need not be made."""


class HeadLikeGet:
    """Answers HEAD as GET without its body."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        answered = False

        async def send_head(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                await send(message)
            elif not answered:
                answered = True
                await send({"type": "http.response.body", "body": b""})
                if message.get("more_body", False):
                    raise _AnsweredError

        try:
            await self.app({**scope, "method": "GET"}, receive, send_head)
        except _AnsweredError:
            return


class Tagged:
    """Gives what GET returns in one piece an ETag, and answers "not modified" to those who have it.

    Kept pages and long files have tags of their own; what must not be kept gets none.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        known = Headers(scope=scope).get("if-none-match", "")
        waiting: Message | None = None

        async def send_tagged(message: Message) -> None:
            nonlocal waiting
            if message["type"] == "http.response.start" and _lacks_tag(message):
                waiting = message
                return
            if waiting is not None:
                start, waiting = waiting, None
                if not message.get("more_body", False):
                    tag = tag_of(message.get("body", b""))
                    headers = MutableHeaders(scope=start)
                    headers["ETag"] = tag
                    headers.setdefault("Cache-Control", "no-cache")
                    if matches(known, tag):
                        start["status"], message = 304, {**message, "body": b""}
                        del headers["content-length"]
                await send(start)
            await send(message)

        await self.app(scope, receive, send_tagged)


def _lacks_tag(start: Message) -> bool:
    headers = MutableHeaders(scope=start)
    return start["status"] == 200 and "etag" not in headers and "no-store" not in headers.get("cache-control", "")


class OpenToScripts:
    """Lets scripts of any site read what the API tells everyone. It allows neither tokens nor calls that write."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.open = CORSMiddleware(
            app,
            allow_origins=("*",),
            allow_methods=("GET", "HEAD"),
            allow_headers=("If-None-Match",),
            expose_headers=("ETag", "Retry-After", "X-Total-Count"),
            max_age=86_400,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reads = scope["type"] == "http" and scope["method"] in ("GET", "HEAD", "OPTIONS")
        await (self.open if reads and scope["path"].startswith("/api/") else self.app)(scope, receive, send)
