"""Shares of the server for each client: processor time for drawing pages, and changes of visibility.

One address that asks for endless different pages then waits for itself, and others hardly notice.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import anyio
import anyio.to_thread
from fastapi import Request

from ..submissions import RefusedError

Returned = TypeVar("Returned")
_CLIENTS = 10_000
_SUBNET = 64
"""Bits of an IPv6 address that one client has for itself."""


class TooManyError(RefusedError):
    """A client has used up its share; `seconds` is when it may ask again."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message, status=429)
        self.seconds = math.ceil(max(1.0, seconds))


class Budgets:
    """What each client may still use: `most` at once, and `rate` more every second."""

    def __init__(self, most: float, rate: float) -> None:
        self.most, self.rate = most, rate
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def left(self, client: str) -> float:
        """Return what a client may still use; it is negative after a costly request."""
        left, moment = self._left.get(client, (self.most, 0.0))
        return min(self.most, left + self.rate * (time.monotonic() - moment))

    def use(self, client: str, amount: float) -> None:
        """Take an amount from a client's budget."""
        self._left[client] = self.left(client) - amount, time.monotonic()
        self._left.move_to_end(client)
        while len(self._left) > _CLIENTS:
            self._left.popitem(last=False)

    def check(self, client: str, message: str, needed: float = 0.0) -> None:
        """Check that a client has something left, and as much as is needed.

        Raises:
            TooManyError: it has not.
        """
        left = self.left(client)
        if left <= 0 or left < needed:
            raise TooManyError(message, (needed - left) / self.rate)


class Drawing:
    """Draws in threads: one page at a time for each client, few in all, and so much processor time for each client.

    A client that has used up its time is refused, after a pause, so that asking again at once gains nothing.
    """

    def __init__(self, most: float, share: float, *, threads: int = 2, waiting: int = 64, pause: float = 1.0) -> None:
        self.budgets = Budgets(most, share)
        self._waiting, self._pause = waiting, pause
        self._threads = anyio.CapacityLimiter(threads)
        self._turns: dict[str, tuple[anyio.Lock, int]] = {}

    async def run(self, client: str, draw: Callable[[], Returned]) -> Returned:
        """Call `draw` in a thread, when it is the client's turn.

        Raises:
            TooManyError: the client has too many requests waiting, or has used up its processor time.
        """
        async with self.turn(client):
            return await self.spend(client, draw)

    @asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[None]:
        """Wait for the client's earlier requests.

        Raises:
            TooManyError: the client has too many requests waiting, or has used up its processor time.
        """
        message = "too many different pages for your address; wait a moment"
        with self._count(client) as (lock, waiting):
            if waiting > self._waiting:
                raise TooManyError(message, self._pause)
            try:
                self.budgets.check(client, message)
                async with lock:
                    self.budgets.check(client, message)
                    began = time.monotonic()
                    yield
                    if self._turns[client][1] > 1:  # many at once leave the others half of the time
                        await anyio.sleep(min(self._pause, time.monotonic() - began))
            except TooManyError:
                await anyio.sleep(self._pause)
                raise

    async def go_on(self, client: str, draw: Callable[[], Returned]) -> Returned:
        """Call `draw` in a thread for an answer that has begun: it becomes slow where others would be refused."""
        with self._count(client) as (lock, _):
            async with lock:
                await anyio.sleep(min(self._pause, max(0.0, -self.budgets.left(client) / self.budgets.rate)))
                return await self.spend(client, draw)

    @contextmanager
    def _count(self, client: str) -> Iterator[tuple[anyio.Lock, int]]:
        """Keep the client's lock while requests wait for it; yield it and how many do."""
        lock, waiting = self._turns.get(client, (anyio.Lock(), 0))
        self._turns[client] = lock, waiting + 1
        try:
            yield lock, waiting + 1
        finally:
            waiting = self._turns[client][1] - 1
            self._turns[client] = lock, waiting
            if not waiting:
                del self._turns[client]

    async def spend(self, client: str, draw: Callable[[], Returned]) -> Returned:
        """Call `draw` in a thread and take its processor time from the client's budget."""

        def timed() -> tuple[Returned, float]:
            began = time.thread_time()
            try:
                return draw(), time.thread_time() - began
            except BaseException:
                self.budgets.use(client, time.thread_time() - began)
                raise

        drawn, seconds = await anyio.to_thread.run_sync(timed, limiter=self._threads)
        self.budgets.use(client, seconds)
        return drawn


def client_of(request: Request) -> str:
    """Name who asks: the address, or the network of an IPv6 address."""
    host = request.client.host if request.client else "unknown"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return host if address.version == 4 else str(ipaddress.ip_network((address, _SUBNET), strict=False))
