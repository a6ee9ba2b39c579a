"""Prepare the next items while the current one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetch(function: Callable[[T], R], items: Iterable[T], depth: int = 2, threads: int = 1) -> Iterator[R]:
    """`map(function, items)` in threads that are up to `depth` items ahead; order and errors are kept.

    Several threads pay where `function` leaves Python for long: decoding and resizing pictures do.
    """
    remaining = iter(items)
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            waiting.extend(pool.submit(function, item) for item in islice(remaining, depth))
            while waiting:
                done = waiting.popleft()
                yield done.result()
                waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
        finally:
            for future in waiting:
                future.cancel()
