"""Which samples make up which step: a pure function of seed and step, so nothing has to be saved to resume exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Order:
    """The order of a run.

    Attributes:
        samples: in the training split.
        global_batch: samples a step.
        seed: of the permutations.
    """

    samples: int
    global_batch: int
    seed: int

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
        permutation = np.random.default_rng([self.seed, 1, epoch]).permutation(self.samples)
        return permutation[place * self.global_batch : (place + 1) * self.global_batch]


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
