"""How many things may be done at once."""

from __future__ import annotations

import os

PICTURE_THREADS = 8
"""More threads than this do not decode faster: the interpreter takes turns between them."""


def usable_cores() -> int:
    """Cores this process may use, which under a scheduler or in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def picture_threads() -> int:
    """Threads that decode and resize pictures beside a model."""
    return min(PICTURE_THREADS, usable_cores())
