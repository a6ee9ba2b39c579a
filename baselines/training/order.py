"""Which samples make up which step: a pure function of seed and step, so nothing has to be saved to resume exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Order:
    """The order of a run.

    Attributes:
        samples: in the training split.
        global_batch: samples a step.
        seed: of the permutations.
        empties: rows that are empty targets; needed with `empty_share` only.
        empty_share: of the rows of an epoch; the rarer kind is repeated, the other one thinned out.
    """

    samples: int
    global_batch: int
    seed: int
    empties: tuple[int, ...] = ()
    empty_share: float | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches; what is left over in an epoch is dropped."""
        return self.samples // self.global_batch

    def epoch_of(self, step: int) -> int:
        """The epoch that a step, counted from 0, belongs to."""
        return step // self.steps_per_epoch

    def rows(self, step: int) -> np.ndarray:
        """The samples of a step: (global_batch,) int64."""
        epoch, place = divmod(step, self.steps_per_epoch)
        return epoch_rows(self, epoch)[place * self.global_batch : (place + 1) * self.global_batch]


@lru_cache(maxsize=2)
def epoch_rows(order: Order, epoch: int) -> np.ndarray:
    """All rows of an epoch, shuffled: (samples,) int64."""
    generator = np.random.default_rng([order.seed, 1, epoch])
    if order.empty_share is None:
        return generator.permutation(order.samples)
    others = np.setdiff1d(np.arange(order.samples), order.empties)
    count = round(order.empty_share * order.samples)
    parts = [draw(np.asarray(order.empties), count, generator), draw(others, order.samples - count, generator)]
    return generator.permutation(np.concatenate(parts))


def draw(rows: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """`count` of `rows`, each as often as any other, give or take one: (count,) int64.

    Raises:
        ValueError: there are no rows to draw from.
    """
    if not count:
        return np.empty(0, dtype=np.int64)
    if not len(rows):
        raise ValueError("there are no samples of this kind")
    turns = [generator.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate(turns)[:count].astype(np.int64)


def empty_rows(is_empty: Sequence[bool]) -> tuple[int, ...]:
    """Rows that are empty targets."""
    return tuple(np.flatnonzero(np.asarray(is_empty, dtype=bool)).tolist())


def micro_batches(rows: np.ndarray, size: int, rank: int, ranks: int) -> list[tuple[int, np.ndarray]]:
    """Cut a step's samples into forward passes and give this process its share.

    Each pass has a number that does not depend on the processes; random draws are seeded by it, so one process and
    eight draw the same.

    Raises:
        ValueError: the passes cannot be shared equally.
    """
    passes = [(number, rows[start : start + size]) for number, start in enumerate(range(0, len(rows), size))]
    if len(rows) % size or len(passes) % ranks:
        raise ValueError(
            f"a global batch of {len(rows)} does not divide into passes of {size} on {ranks} processes; choose "
            "optim.global_batch as a multiple of optim.micro_batch times the processes"
        )
    return passes[rank::ranks]


def pass_seed(seed: int, step: int, number: int) -> int:
    """Seed of everything random in a forward pass: points, stochastic depth, questions."""
    return int(np.random.SeedSequence([seed, 2, step, number]).generate_state(1)[0])
