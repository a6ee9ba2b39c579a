"""The drawn pages of a web process. A page stays valid until something that it shows has changed."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

import anyio
import anyio.to_thread
from fastapi import Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from earthreason.metrics.protocols import DEFAULT_PROTOCOL

from ..board import BoardQuery
from ..changes import Changes, changes_since, last_change
from ..database import Database
from ..selection import Selection, canonical, select_rows
from ..splits import NoSplitError, main_protocols
from .limits import Drawing, client_of
from .packing import choose_packing, pack

Returned = TypeVar("Returned")
_FRESH_SECONDS = 0.25
_PAGE_BYTES = 48 << 20
_VALUES = 100
"""Most kept values; a selection of 10,000 rows has 160 kB."""
_CHANGES = 20_000


@dataclass(frozen=True)
class DrawnPage:
    """A drawn page: its body, plain and packed, and a tag with which browsers recognise their copy.

    Attributes:
        made: number of the last change that it shows.
        shows: the splits and rows that it depends on.
    """

    body: bytes
    packed: dict[str, bytes]
    media_type: str
    etag: str
    made: int
    shows: Collection[str]

    @property
    def size(self) -> int:
        return len(self.body) + sum(map(len, self.packed.values()))


class Seen:
    """The changes that this process knows of, by what they changed."""

    def __init__(self) -> None:
        self.number = -1
        self._everything = -1
        self._numbers: OrderedDict[str, int] = OrderedDict()

    def note(self, changes: Changes) -> None:
        """Take note of changes."""
        self.number = changes.number
        if changes.everything:
            self._everything = changes.number
        for number, (split, entry_id) in changes.rows.items():
            for name in (split, entry_id):
                self._numbers[name] = max(number, self._numbers.get(name, -1))  # an older reading may come later
                self._numbers.move_to_end(name)
        while len(self._numbers) > _CHANGES:
            self._everything = max(self._everything, self._numbers.popitem(last=False)[1])

    def is_valid(self, made: int, shows: Collection[str]) -> bool:
        """Tell whether what was made at a change still holds. A later change than the last is of another database."""
        return self._everything <= made <= self.number and all(made >= self._numbers.get(name, -1) for name in shows)


class Board:
    """A bounded cache of pages, and of the values behind them.

    Changes are read from the database at most every quarter of a second, so a page is never older than that; changes
    made by this process show at once.
    """

    def __init__(self, database: Database, drawing: Drawing) -> None:
        self._database, self._drawing_limits = database, drawing
        self._seen, self._asked = Seen(), 0.0
        self._pages: OrderedDict[str, DrawnPage] = OrderedDict()
        self._bytes = 0
        self._drawing: dict[str, anyio.Lock] = {}
        self._values: OrderedDict[Hashable, tuple[int, object]] = OrderedDict()
        self._guard = threading.Lock()
        self._splits: tuple[int, Mapping[str, str]] | None = None

    def changed(self) -> None:
        """Read the changes again with the next request."""
        self._asked = 0.0

    def _read_changes(self) -> Changes:
        with self._database.read() as session:
            return changes_since(session, self._seen.number)

    async def version(self) -> int:
        """Return the number of the last change that is known."""
        now = time.monotonic()
        if now - self._asked > _FRESH_SECONDS:
            self._asked = now  # set first, so that only one of several requests reads the changes
            self._seen.note(await anyio.to_thread.run_sync(self._read_changes))
        return self._seen.number

    async def page(
        self, client: str, key: str, shows: Collection[str], media_type: str, draw: Callable[[], str]
    ) -> DrawnPage:
        """Return a kept page, or draw it; concurrent requests wait for the same drawing.

        Raises:
            TooManyError: the client has used up its share of the server.
        """
        made = await self.version()
        page = self._kept(key)
        if page is None:
            async with self._drawing_limits.turn(client):
                try:
                    async with self._drawing.setdefault(key, anyio.Lock()):
                        page = self._kept(key)
                        if page is None:
                            page = await self._drawing_limits.spend(
                                client, lambda: _draw_page(draw(), media_type, made, shows)
                            )
                            self._keep(key, page)
                finally:
                    self._drawing.pop(key, None)
        return page

    def _kept(self, key: str) -> DrawnPage | None:
        page = self._pages.get(key)
        if page is None:
            return None
        if self._seen.is_valid(page.made, page.shows):
            self._pages.move_to_end(key)
            return page
        self._forget(key)
        return None

    def _keep(self, key: str, page: DrawnPage) -> None:
        self._forget(key)
        self._pages[key] = page
        self._bytes += page.size
        while self._bytes > _PAGE_BYTES:
            self._forget(next(iter(self._pages)))

    def _forget(self, key: str) -> None:
        page = self._pages.pop(key, None)
        self._bytes -= 0 if page is None else page.size

    async def default_split(self) -> str:
        """Return the split that the board opens with.

        Raises:
            EarthReasonError: there is no split yet.
        """
        splits = await self._main_protocols()
        if not splits:
            raise NoSplitError
        return next(iter(splits))

    async def main_protocol(self, split: str) -> str:
        """Return the main protocol of a split; the default one if there is no such split."""
        return (await self._main_protocols()).get(split, DEFAULT_PROTOCOL)

    async def _main_protocols(self) -> Mapping[str, str]:
        """Return the main protocol by split, first that of the split that the board opens with."""
        version = await self.version()
        if self._splits is None or not self._seen.is_valid(self._splits[0], ()):
            self._splits = version, await anyio.to_thread.run_sync(self._read_main_protocols)
        return self._splits[1]

    def _read_main_protocols(self) -> Mapping[str, str]:
        with self._database.read() as session:
            return main_protocols(session)

    async def respond(
        self,
        request: Request,
        key: object,
        shows: Collection[str],
        media_type: str,
        draw: Callable[[], str],
        more_headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Answer a request with a page, or with "not modified" if the browser has it.

        `key` holds only what the page depends on, so made-up parameters cost nothing. `shows` names the splits, rows
        and models that the page shows; `draw` may add to it. `more_headers` are those of this kind of page.
        """
        page = await self.page(client_of(request), f"{request.url.path} {key}", shows, media_type, draw)
        headers = {"ETag": page.etag, "Cache-Control": "no-cache", **(more_headers or {})}
        if matches(request.headers.get("if-none-match", ""), page.etag):
            return Response(status_code=304, headers=headers)
        for name in choose_packing(request.headers.get("accept-encoding", "")):
            if name in page.packed:
                headers["Content-Encoding"] = name
                return Response(page.packed[name], media_type=page.media_type, headers=headers)
        return Response(page.body, media_type=page.media_type, headers=headers)

    def keep(self, session: Session, key: Hashable, shows: Collection[str], make: Callable[[], Returned]) -> Returned:
        """Return what is kept under a key, or make it from the session: values that several pages need."""
        made = last_change(session)  # not `_seen`: the session's snapshot may be older
        with self._guard:
            kept = self._values.get(key)
            if kept is not None and self._seen.is_valid(kept[0], shows):
                self._values.move_to_end(key)
                return cast("Returned", kept[1])
        value = make()
        with self._guard:
            self._values[key] = made, value
            self._values.move_to_end(key)
            while len(self._values) > _VALUES:
                self._values.popitem(last=False)
        return value

    def selection(self, session: Session, query: BoardQuery) -> Selection:
        """Return the rows that a query selects, from memory if nothing in its split has changed."""
        known = canonical(session, query)
        return self.keep(session, known, (query.split,), lambda: select_rows(session, known))


def _draw_page(text: str, media_type: str, made: int, shows: Collection[str]) -> DrawnPage:
    body = text.encode()
    return DrawnPage(body, pack(body), media_type, tag_of(body), made, shows)


def tag_of(body: bytes) -> str:
    """Return the tag of a body. It is weak, because the packed forms have it too."""
    return f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def matches(header: str, etag: str) -> bool:
    """Tell whether an If-None-Match header names a tag. Weak and strong tags are compared alike."""
    named = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in named or etag.removeprefix("W/") in named
