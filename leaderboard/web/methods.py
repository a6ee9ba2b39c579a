"""Middleware for what all answers have in common: HEAD wherever there is GET, and access for scripts of other sites."""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware

from leaderboard.web.guard import App, Message, Receive, Scope, Send


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


class OpenToScripts:
    """Lets scripts of any site read what the API tells everyone. It allows neither tokens nor calls that write."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.open = CORSMiddleware(
            app,
            allow_origins=("*",),
            allow_methods=("GET", "HEAD"),
            allow_headers=("If-None-Match",),
            expose_headers=("ETag", "Retry-After"),
            max_age=86_400,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reads = scope["type"] == "http" and scope["method"] in ("GET", "HEAD", "OPTIONS")
        await (self.open if reads and scope["path"].startswith("/api/") else self.app)(scope, receive, send)
