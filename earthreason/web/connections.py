"""Connections of clients that send slowly or nothing: time limits, and room for others when there are too many."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 1000
_OTHER_FILES = 200
"""Files that a web process opens beside its connections."""
_MOST_FILES = 65_536


class PatientWithFew(H11Protocol):
    """uvicorn's protocol with a time limit on the head of a request, and a way to make room for new connections.

    uvicorn answers 503 to everyone once it has many connections, even if one client holds them all and sends nothing.
    Here the one that has waited longest for its client is closed instead, of the address with the most connections.
    """

    head_seconds = 15.0
    most_connections = MOST_CONNECTIONS
    waits_since = 0.0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.waits_since = self.loop.time()
        self._watch_head()
        if len(self.connections) > self.most_connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.waits_since = self.loop.time()
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        super().connection_lost(exc)

    def _watch_head(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:  # a request is being answered
            self._stop_watching()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._hang_up)

    def _stop_watching(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _hang_up(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    @property
    def address(self) -> str:
        """Address of the peer, which is the proxy's where there is one."""
        return self.client[0] if self.client else ""

    @property
    def waits_for_client(self) -> bool:
        """Whether the next move is the client's: to send a request or its body, or to read the answer."""
        if self.cycle is None or self.cycle.response_complete or self.flow.write_paused:
            return True
        return self.cycle.more_body and not self.cycle.body

    def _make_room(self) -> None:
        others = [each for each in self.connections if each is not self and isinstance(each, PatientWithFew)]
        waiting = [each for each in others if each.waits_for_client]
        if not waiting:  # all are being answered
            self.limit_concurrency = 1  # so uvicorn answers 503 to this one
            return
        held = Counter(each.address for each in others)
        longest = max(waiting, key=lambda each: (held[each.address], -each.waits_since))
        self.connections.discard(longest)
        longest.transport.abort()


def allow_connections(most: int = MOST_CONNECTIONS) -> int:
    """Raise this process's limit of open files as far as it may; return how many connections fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return most if soft == resource.RLIM_INFINITY else max(10, min(most, soft - _OTHER_FILES))
