"""What a form has to show: before its body is read the sender, afterwards the key of our page."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from leaderboard.submissions import RefusedError
from leaderboard.tokens import form_key
from leaderboard.web.state import COOKIE, browser_caller, get_state

SIGN_IN = "/sign-in"
SMALL_FORM = 16 << 10
"""Bytes of a form without a file."""


class FormRoute(APIRoute):
    """A route whose forms are read only when they come from our pages and from somebody who is signed in."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_known(request: Request) -> Response:
            if request.method == "POST":
                await _check_sender(request)
            return await handle(request)

        return handle_known


async def _check_sender(request: Request) -> None:
    """Look at what stands in the head of a request.

    Raises:
        RefusedError: another site sent it, or nobody is signed in, which only the sign-in itself need not be.
    """
    state = get_state(request)
    origin = request.headers.get("origin")
    own = (state.settings.base_url or str(request.base_url)).rstrip("/")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") or origin not in (None, own):
        raise RefusedError("this form was sent by another site", status=403)
    if request.url.path != SIGN_IN and await browser_caller(request, state) is None:
        raise RefusedError("your sign-in has ended; sign in again", status=403)


def check_key(request: Request, key: str) -> str:
    """The cookie of a form that comes from our own page: it brings what only our pages know.

    Raises:
        RefusedError: it brings something else.
    """
    secret = request.cookies.get(COOKIE, "")
    if not secret or not hmac.compare_digest(form_key(secret).encode(), key.encode()):
        raise RefusedError("this form is not from this sign-in; load the page again", status=403)
    return secret
