"""Progress of a run, by steps or by the clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast

from .config import OptimConfig, Schedule
from .records import Clock


def rate_at(share: float, warmup_share: float, schedule: Schedule = "cosine") -> float:
    """Return the factor of the learning rate after `share` of the run: linear warm-up, then a decay to 0."""
    if share < warmup_share:
        return share / warmup_share
    done = min(1.0, (share - warmup_share) / max(1e-9, 1 - warmup_share))
    return 1 - done if schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))


@dataclass
class Pace:
    """Progress of a run in steps, or with `optim.minutes` in time that all processes agree on.

    Attributes:
        steps: number of steps of the run; practically unlimited for a run by the clock.
        limit: minutes of the run; None for a run by steps.
        warmup_share: share of steps or minutes with a linear warm-up.
        minutes: elapsed minutes at the last `tick`.
        schedule: decay of the learning rate after the warm-up.
    """

    steps: int
    limit: float | None
    warmup_share: float
    minutes: float = 0.0
    schedule: Schedule = "cosine"

    @classmethod
    def of(cls, config: OptimConfig, steps_per_epoch: int) -> Pace:
        """Make the pace of a run over a training split."""
        if config.minutes is not None:
            return cls(2**31, config.minutes, config.warmup_share, schedule=config.schedule)
        steps = config.steps or config.epochs * steps_per_epoch
        # Round the warm-up to full steps.
        return cls(steps, None, math.ceil(config.warmup_share * steps) / steps, schedule=config.schedule)

    def tick(self, clock: Clock, accelerator: Accelerator) -> None:
        """Read the clock of the first process, so that all processes have the same rate and stop together."""
        if self.limit is None:
            return
        seconds = clock.facts()["seconds"]
        if accelerator.num_processes > 1:
            seconds = float(broadcast(torch.tensor(seconds, device=accelerator.device)))
        self.minutes = seconds / 60

    def share(self, step: int) -> float:
        """Return the share of the run that is done before a step."""
        return step / self.steps if self.limit is None else min(1.0, self.minutes / self.limit)

    def over(self, step: int) -> bool:
        """Return whether the run ends before a step."""
        return step >= self.steps if self.limit is None else self.minutes >= self.limit

    def rate(self, step: int) -> float:
        """Return the factor of the learning rate in a step."""
        return rate_at(self.share(step), self.warmup_share, self.schedule)
