"""Pools of worker processes that end at Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

R = TypeVar("R")


@contextmanager
def process_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Open a pool that drops what is still to be done if the block fails or is interrupted.

    Args:
        workers: number of processes.

    Raises:
        KeyboardInterrupt: this process was interrupted, also where Python dropped the exception and only the workers,
            which a terminal interrupts too, have ended.
    """
    pool = ProcessPoolExecutor(workers, initializer=_end_at_interrupts)
    try:
        with _noted_interrupts() as noted:
            yield pool
    except BrokenProcessPool:
        if noted:
            raise KeyboardInterrupt from None
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _noted_interrupts() -> Iterator[list[int]]:
    """List the interrupts of the main thread. Python drops the exception of one that comes in a finaliser."""
    noted: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield noted
        return

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, handler)


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
    # A terminal interrupts the workers too. As an exception, that can leave a lock held forever.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
