"""Samples of each step as a pure function of seed and step, so that nothing is saved to resume exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Order:
    """Data order of a run.

    Attributes:
        samples: number of samples in the training split.
        global_batch: samples per step.
        seed: seed of the permutations.
        empties: rows that are empty targets; used with `empty_share` only.
        empty_share: share of empty targets in an epoch, reached by repeating the rarer kind and omitting some of the
            other; None keeps that of the split.
    """

    samples: int
    global_batch: int
    seed: int
    empties: tuple[int, ...] = ()
    empty_share: float | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Number of full batches in an epoch; an incomplete one is dropped."""
        return self.samples // self.global_batch

    def epoch_of(self, step: int) -> int:
        """Return the epoch of a step, both counted from 0."""
        return step // self.steps_per_epoch

    def rows(self, step: int) -> np.ndarray:
        """Return the rows of a step: (global_batch,) int64."""
        epoch, place = divmod(step, self.steps_per_epoch)
        return epoch_rows(self, epoch)[place * self.global_batch : (place + 1) * self.global_batch]


@lru_cache(maxsize=2)
def epoch_rows(order: Order, epoch: int) -> np.ndarray:
    """Return the rows of an epoch, shuffled: (samples,) int64."""
    generator = np.random.default_rng([order.seed, 1, epoch])
    if order.empty_share is None:
        return generator.permutation(order.samples)
    others = np.setdiff1d(np.arange(order.samples), order.empties)
    count = round(order.empty_share * order.samples)
    parts = [draw(np.asarray(order.empties), count, generator), draw(others, order.samples - count, generator)]
    return generator.permutation(np.concatenate(parts))


def draw(rows: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Draw `count` of `rows`, each equally often up to one: (count,) int64.

    Raises:
        ValueError: `rows` is empty and `count` is not 0.
    """
    if not count:
        return np.empty(0, dtype=np.int64)
    if not len(rows):
        raise ValueError("there are no samples of this kind")
    turns = [generator.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate(turns)[:count].astype(np.int64)


def empty_rows(is_empty: Sequence[bool]) -> tuple[int, ...]:
    """Return the numbers of the rows that are empty targets."""
    return tuple(np.flatnonzero(np.asarray(is_empty, dtype=bool)).tolist())


def micro_batches(rows: np.ndarray, size: int, rank: int, ranks: int) -> list[tuple[int, np.ndarray]]:
    """Divide a step's rows into forward passes and return those of this process.

    Each pass has a number that does not depend on the number of processes and seeds its random draws.

    Raises:
        ValueError: the passes cannot be divided equally among the processes.
    """
    passes = [(number, rows[start : start + size]) for number, start in enumerate(range(0, len(rows), size))]
    if len(rows) % size or len(passes) % ranks:
        raise ValueError(
            f"a global batch of {len(rows)} does not divide into passes of {size} on {ranks} processes; choose "
            "optim.global_batch as a multiple of optim.micro_batch times the processes"
        )
    return passes[rank::ranks]


def pass_seed(seed: int, step: int, number: int) -> int:
    """Return the seed of all random draws in a forward pass, such as loss points and stochastic depth."""
    return int(np.random.SeedSequence([seed, 2, step, number]).generate_state(1)[0])
