"""Pools of worker processes that end at Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager


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


def _end_at_interrupts() -> None:
    # A terminal interrupts the workers too. As an exception, that could leave a lock held for which others wait forever.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
