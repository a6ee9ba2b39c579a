"""Processes, threads and cores: how many there are, and work prepared ahead in threads. Does not import torch."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

PICTURE_THREADS = 8
"""More threads than this do not decode faster: the interpreter takes turns between them."""


def usable_cores() -> int:
    """Cores this process may use, which under a scheduler or in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def picture_threads() -> int:
    """Threads that decode and resize pictures beside a model."""
    return min(PICTURE_THREADS, usable_cores())


@dataclass(frozen=True)
class Rank:
    """A process among others.

    Attributes:
        number: number of the process, from 0.
        count: number of all processes.
        local: number of the process on this machine, and so of its GPU.
    """

    number: int
    count: int
    local: int

    @property
    def is_first(self) -> bool:
        return self.number == 0


def this_rank() -> Rank:
    """Read the environment that torchrun and accelerate set."""
    return Rank(
        number=int(os.environ.get("RANK", 0)),
        count=int(os.environ.get("WORLD_SIZE", 1)),
        local=int(os.environ.get("LOCAL_RANK", 0)),
    )


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
