"""State shared by the requests of a web process, and the caller of a request."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

import anyio
from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from leaderboard.availability import Cause, UnavailableError
from leaderboard.board import BoardEntry
from leaderboard.database import Database
from leaderboard.settings import Settings
from leaderboard.splits import default_split, get_split
from leaderboard.submissions import RefusedError, public_results, shown_record
from leaderboard.tables import ScoredResult, Submission
from leaderboard.tokens import Caller, find_caller, find_signed_in
from leaderboard.versions import board_version
from leaderboard.web.guard import Guesses

COOKIE = "earthreason_board"
_FRESH_SECONDS = 0.25
_PAGES = 1000
Returned = TypeVar("Returned")


@dataclass(frozen=True)
class DrawnPage:
    """A drawn page: its body, and a tag with which browsers recognise their copy."""

    body: bytes
    media_type: str
    etag: str


class Board:
    """A cache of public rows and the pages drawn from them, valid until public content changes.

    The version is read from the database at most every quarter of a second, so a page is never older than that;
    changes made by this process show at once.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._version, self._asked = -1, 0.0
        self._pages: OrderedDict[str, tuple[int, DrawnPage]] = OrderedDict()
        self._drawing: dict[str, anyio.Lock] = {}
        self._entries: dict[str, tuple[int, list[BoardEntry]]] = {}
        self._default: tuple[int, str] | None = None
        self._threads = anyio.CapacityLimiter(2)

    def changed(self) -> None:
        """Read the version again with the next request."""
        self._asked = 0.0

    def _read_version(self) -> int:
        with self._database.read() as session:
            return board_version(session)

    async def version(self) -> int:
        now = time.monotonic()
        if now - self._asked > _FRESH_SECONDS:
            self._asked = now  # set first, so that only one of several requests reads the version
            self._version = await anyio.to_thread.run_sync(self._read_version)
        return self._version

    async def page(self, key: str, media_type: str, draw: Callable[[], str]) -> DrawnPage:
        """Return a cached page, or draw it in a thread; concurrent requests wait for the same drawing."""
        version = await self.version()
        cached = self._pages.get(key)
        if cached is None or cached[0] != version:
            try:
                async with self._drawing.setdefault(key, anyio.Lock()):
                    cached = self._pages.get(key)
                    if cached is None or cached[0] != version:
                        text = await anyio.to_thread.run_sync(draw, limiter=self._threads)
                        cached = self._keep(key, version, text.encode(), media_type)
            finally:
                self._drawing.pop(key, None)
        if key in self._pages:
            self._pages.move_to_end(key)
        return cached[1]

    def _keep(self, key: str, version: int, body: bytes, media_type: str) -> tuple[int, DrawnPage]:
        tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        kept = self._pages[key] = version, DrawnPage(body, media_type, tag)
        while len(self._pages) > _PAGES:
            self._pages.popitem(last=False)
        return kept

    async def default_split(self) -> str:
        """Return the split that the board opens with.

        Raises:
            EarthReasonError: there is no split yet.
        """
        version = await self.version()
        if self._default is None or self._default[0] != version:
            self._default = version, await anyio.to_thread.run_sync(self._read_default_split)
        return self._default[1]

    def _read_default_split(self) -> str:
        with self._database.read() as session:
            return default_split(session)

    async def respond(self, request: Request, key: object, media_type: str, draw: Callable[[], str]) -> Response:
        """Answer a request with a page, or with "not modified" if the browser has it.

        `key` holds only what the page depends on, so made-up parameters cost nothing.
        """
        page = await self.page(f"{request.url.path} {key}", media_type, draw)
        headers = {"ETag": page.etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == page.etag:
            return Response(status_code=304, headers=headers)
        return Response(page.body, media_type=page.media_type, headers=headers)

    def entries(self, session: Session, split_key: str) -> list[BoardEntry]:
        """List the public rows of a split.

        Raises:
            UnknownNameError: there is no such split.
        """
        split = get_split(session, split_key)
        version = board_version(session)
        cached = self._entries.get(split_key)
        if cached is None or cached[0] != version:
            rows = [entry_of(submission, result) for submission, result in public_results(session, split)]
            cached = self._entries[split_key] = version, rows
        return cached[1]


def entry_of(submission: Submission, result: ScoredResult) -> BoardEntry:
    """Turn a submission and its result into a row."""
    return BoardEntry(
        id=submission.id,
        team=submission.team.name,
        metadata=public_metadata(submission.details),
        record=shown_record(submission, result),
        published=submission.published or submission.created,
        flag=submission.flag,
        card=submission.card,
    )


def public_metadata(details: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata without the contact."""
    return {key: value for key, value in details.items() if key != "contact"}


@dataclass
class State:
    """The shared parts of a web process."""

    database: Database
    settings: Settings
    board: Board
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
        if now - self.tried_writing <= _FRESH_SECONDS and self.write_fault is None:
            return
        self.tried_writing = now
        tried = size if self.write_fault is Cause.FULL else 0
        await anyio.to_thread.run_sync(self.database.check_writable, tried, limiter=self.writers)
        self.write_fault = None

    async def read(self, action: Callable[[Session], Returned]) -> Returned:
        """Run `action` in a reading transaction in a thread."""

        def run() -> Returned:
            with self.database.read() as session:
                return action(session)

        return await anyio.to_thread.run_sync(run)


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
