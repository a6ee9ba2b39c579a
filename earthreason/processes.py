"""Pools of worker processes that end at Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

R = TypeVar("R")


@contextmanager
def process_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Open a pool that drops what is still to be done if the block fails or is interrupted.

    Args:
        workers: number of processes.
    """
    pool = ProcessPoolExecutor(workers, initializer=_end_at_interrupts)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def run_in_order(
    pool: ProcessPoolExecutor, function: Callable[..., R], jobs: Sequence[Sequence[Any]], chunk: int = 1
) -> Iterator[R]:
    """Yield `function(*job)` of each job in order.

    Unlike `pool.map`, it cancels nothing when it is closed, which `process_pool` does. A future that is cancelled while
    workers die makes a thread of the pool print a traceback (Python before 3.13).

    Args:
        pool: pool to run the jobs in.
        function: function of a module.
        jobs: arguments of each call.
        chunk: number of jobs that a worker is given at a time.
    """
    parts = [pool.submit(_run_each, function, jobs[start : start + chunk]) for start in range(0, len(jobs), chunk)]
    parts.reverse()
    while parts:
        yield from parts.pop().result()


def _run_each(function: Callable[..., R], jobs: Sequence[Sequence[Any]]) -> list[R]:
    return [function(*job) for job in jobs]


def _end_at_interrupts() -> None:
    # A terminal interrupts the workers too. As an exception, that can leave a lock held forever. In the background of a
    # script, shells start commands that ignore interrupts; their workers then do, too.
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
