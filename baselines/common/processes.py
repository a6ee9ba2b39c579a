"""Numbers of processes, threads and cores, and prefetching in threads. Does not import torch."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

PICTURE_THREADS = 8
"""Maximum number of threads; more compete for the interpreter and do not decode faster."""


def usable_cores() -> int:
    """Count the cores this process may use; a scheduler or container can allow fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def picture_threads() -> int:
    """Count the threads to decode and resize images with while a model runs."""
    return min(PICTURE_THREADS, usable_cores())


@dataclass(frozen=True)
class Rank:
    """Place of a process in a group.

    Attributes:
        number: number of the process, from 0.
        count: number of processes.
        local: number of the process on this machine, and of its GPU.
    """

    number: int
    count: int
    local: int

    @property
    def is_first(self) -> bool:
        return self.number == 0


def this_rank() -> Rank:
    """Read the rank from the environment variables that torchrun and accelerate set."""
    return Rank(
        number=int(os.environ.get("RANK", 0)),
        count=int(os.environ.get("WORLD_SIZE", 1)),
        local=int(os.environ.get("LOCAL_RANK", 0)),
    )


T = TypeVar("T")
R = TypeVar("R")


def prefetch(function: Callable[[T], R], items: Iterable[T], depth: int = 2, threads: int = 1) -> Iterator[R]:
    """Compute `map(function, items)` in threads, up to `depth` items ahead; keep order and errors.

    Several threads help if `function` releases the interpreter lock, as decoding and resizing images do.
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
