"""State shared by the requests of a web process, and the caller of a request."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

import anyio
from fastapi import Depends, Request
from sqlalchemy.orm import Session

from ..availability import Cause, UnavailableError
from ..database import Database
from ..settings import Settings
from ..submissions import RefusedError
from ..tokens import Caller, find_caller, find_signed_in
from .cache import Board
from .guard import Guesses
from .limits import Budgets, Drawing, TooManyError, client_of

COOKIE = "earthreason_board"
_TOO_OFTEN = "your team has made too many changes; wait a moment"
_WRITES_CHECKED_EVERY = 0.25
"""Seconds."""
_REFUSAL_SECONDS = 1.0
Returned = TypeVar("Returned")


@dataclass
class State:
    """The shared parts of a web process."""

    database: Database
    settings: Settings
    board: Board
    drawing: Drawing
    row_changes: Budgets
    mails: Budgets
    """Links by e-mail, and sign-ins with a provider, that each client may ask for."""
    guesses: Guesses
    started: float = field(default_factory=time.time)
    tried_writing: float = 0.0
    write_fault: Cause | None = None
    """Why the last write failed; None if it succeeded."""
    writers: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(4))

    async def write(self, action: Callable[[Session], Returned]) -> Returned:
        """Run `action` in a writing transaction in a thread. Few run at once, so readers always find a thread."""

        def run() -> Returned:
            try:
                with self.database.write() as session:
                    answer = action(session)
            except UnavailableError as error:
                self.write_fault = error.cause
                raise
            self.write_fault = None
            return answer

        answer = await anyio.to_thread.run_sync(run, limiter=self.writers)
        self.board.changed()
        return answer

    async def check_writable(self, size: int) -> None:
        """Find out whether the database can be written, at most every quarter of a second.

        Args:
            size: bytes to try to write if the disk was full at the last attempt.

        Raises:
            UnavailableError: it cannot.
        """
        now = time.monotonic()
        if now - self.tried_writing <= _WRITES_CHECKED_EVERY and self.write_fault is None:
            return
        self.tried_writing = now
        tried = size if self.write_fault is Cause.FULL else 0
        await anyio.to_thread.run_sync(self.database.check_writable, tried, limiter=self.writers)
        self.write_fault = None

    async def check_row_changes(self, caller: Caller) -> None:
        """Count a change that costs others something, such as pages to be drawn again. A refusal comes late.

        Raises:
            TooManyError: the team has made too many of them.
        """
        who = f"token {caller.token_id}" if caller.team_id is None else f"team {caller.team_id}"
        try:
            self.row_changes.check(who, _TOO_OFTEN, 1)
        except TooManyError:
            await anyio.sleep(_REFUSAL_SECONDS)
            raise
        self.row_changes.use(who, 1)

    async def read(self, action: Callable[[Session], Returned]) -> Returned:
        """Run `action` in a reading transaction in a thread."""

        def run() -> Returned:
            with self.database.read() as session:
                return action(session)

        return await anyio.to_thread.run_sync(run)

    async def read_for(self, request: Request, action: Callable[[Session], Returned]) -> Returned:
        """Run `action` in a reading transaction, in the share of whoever asks.

        Raises:
            TooManyError: the client has used up its share.
        """

        def run() -> Returned:
            with self.database.read() as session:
                return action(session)

        return await self.drawing.run(client_of(request), run)


def get_state(request: Request) -> State:
    """Return the state of this web process."""
    state: State = request.app.state.board
    return state


Shared = Annotated[State, Depends(get_state)]


def address_of(request: Request) -> str:
    """Return the client address of a request."""
    return request.client.host if request.client else "unknown"


async def check_token(request: Request, state: State, token: str) -> Caller:
    """Find the owner of a token.

    Raises:
        RefusedError: the token is unknown (401), and if this address has sent too many such ones, 429.
    """
    caller = await state.read(lambda session: find_caller(session, token))
    if caller is None:  # a right token always passes: behind one proxy, many teams may share an address
        address = address_of(request)
        if state.guesses.too_many(address):
            raise RefusedError("too many wrong tokens from your address; wait a minute", status=429)
        state.guesses.count(address)
        raise RefusedError("this token is unknown or revoked; ask the organisers for a new one", status=401)
    return caller


async def optional_caller(request: Request, state: Shared) -> Caller | None:
    """Find the caller of the API; return None without a token."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        return None
    if scheme.lower() != "bearer" or not token.strip():
        raise RefusedError("send your token as `Authorization: Bearer er_...`", status=401)
    return await check_token(request, state, token.strip())


async def required_caller(caller: Annotated[Caller | None, Depends(optional_caller)]) -> Caller:
    """Find the caller of the API.

    Raises:
        RefusedError: the request has no token.
    """
    if caller is None:
        raise RefusedError("this call needs a token: send `Authorization: Bearer er_...`", status=401)
    return caller


async def browser_caller(request: Request, state: Shared) -> Caller | None:
    """Find who is signed in on the pages."""
    secret = request.cookies.get(COOKIE)
    return None if secret is None else await state.read(lambda session: find_signed_in(session, secret))


AnyCaller = Annotated[Caller | None, Depends(optional_caller)]
SomeCaller = Annotated[Caller, Depends(required_caller)]
Browser = Annotated[Caller | None, Depends(browser_caller)]
