"""Which process this is under torchrun or accelerate, without importing torch."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Rank:
    """A process among others.

    Attributes:
        number: from 0.
        count: of all processes.
        local: number on this machine, hence of its GPU.
    """

    number: int
    count: int
    local: int

    @property
    def is_first(self) -> bool:
        return self.number == 0


def this_rank() -> Rank:
    """Read the environment that torchrun and accelerate set."""
    return Rank(*(int(os.environ.get(name, default)) for name, default in
                  (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))))  # fmt: skip
