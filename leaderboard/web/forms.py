"""Protection of forms: check the sender before the body is read, and the form key afterwards."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Form, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from earthreason.errors import EarthReasonError, describe_validation_error

from ..submissions import RefusedError
from ..tables import MOST_NUMBER
from ..tokens import Caller, form_key
from .errors import status_of
from .state import COOKIE, State, browser_caller, get_state

SIGN_IN, E_MAIL_FORM, JOIN = "/sign-in", "/sign-in/email", "/join"
SMALL_FORM = 16 << 10
"""Largest form without a file, in bytes."""
Number = Annotated[int, Form(ge=1, le=MOST_NUMBER)]
"""Number of a row."""
_FOR_EVERYONE = (SIGN_IN, E_MAIL_FORM, JOIN)


class FormRoute(APIRoute):
    """A route that reads forms only from our own pages and from signed-in senders."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = self.get_handler()

        async def handle_known(request: Request) -> Response:
            if request.method == "POST":
                await _check_sender(request)
            return await handle(request)

        return handle_known

    def get_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request whose sender is known."""
        return super().get_route_handler()


@dataclass(frozen=True)
class Fault:
    """Why a form was not taken, and what was filled in, by field."""

    message: str
    status: int
    given: Mapping[str, str]


def keeping_fields(
    may_see: Callable[[Caller], bool], show: Callable[[Request, State, Caller, Fault], Awaitable[Response]]
) -> type[FormRoute]:
    """Make the routes of a page with several forms: after a fault the page comes again, with what was filled in.

    Args:
        may_see: whether somebody may see the page.
        show: draws the page.
    """

    class KeepingRoute(FormRoute):
        def get_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_handler()

            async def handle_keeping(request: Request) -> Response:
                try:
                    return await handle(request)
                except (EarthReasonError, RequestValidationError) as error:
                    state = get_state(request)
                    caller = await browser_caller(request, state)
                    if request.method != "POST" or caller is None or not may_see(caller):
                        raise
                    return await show(request, state, caller, await _read_fault(request, error))

            return handle_keeping

    return KeepingRoute


async def _read_fault(request: Request, error: EarthReasonError | RequestValidationError) -> Fault:
    given = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    if isinstance(error, RequestValidationError):
        return Fault(describe_validation_error(error), 422, given)
    return Fault(str(error), status_of(error), given)


async def _check_sender(request: Request) -> None:
    """Check the head of a request.

    Raises:
        RefusedError: another site sent it, or nobody is signed in (required for all forms but those that sign in).
    """
    state = get_state(request)
    origin = request.headers.get("origin")
    own = (state.settings.base_url or str(request.base_url)).rstrip("/")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise RefusedError("this form was sent by another site", status=403)
    if origin not in (None, own):
        raise RefusedError(
            f"this form was sent by another site, or the board has another address than you opened: open {own}. "
            f"Organisers set the address in EARTHREASON_BOARD_BASE_URL",
            status=403,
        )
    if request.url.path not in _FOR_EVERYONE and await browser_caller(request, state) is None:
        raise RefusedError("your sign-in has expired; sign in again", status=403)


def check_key(request: Request, key: str) -> str:
    """Check the key of a form, which only our own pages know; return the cookie's secret.

    Raises:
        RefusedError: the key does not match the cookie.
    """
    secret = request.cookies.get(COOKIE, "")
    if not secret or not hmac.compare_digest(form_key(secret).encode(), key.encode()):
        raise RefusedError("this form belongs to another sign-in; reload the page", status=403)
    return secret
