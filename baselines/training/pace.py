"""How far a run has come: by steps, or by the clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast

from baselines.training.config import OptimConfig
from baselines.training.records import Clock


def rate_at(share: float, warmup_share: float) -> float:
    """Share of the learning rate when `share` of the run is done: linear warm-up, then a cosine to 0."""
    if share < warmup_share:
        return share / warmup_share
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (share - warmup_share) / max(1e-9, 1 - warmup_share))))


@dataclass
class Pace:
    """Counts steps, or with `optim.minutes` the time that all processes agree on.

    Attributes:
        steps: of the whole run; no bound of a run by the clock.
        limit: minutes of the whole run; None for a run by steps.
        warmup_share: of steps or minutes.
        minutes: taken when `tick` was last called.
    """

    steps: int
    limit: float | None
    warmup_share: float
    minutes: float = 0.0

    @classmethod
    def of(cls, config: OptimConfig, steps_per_epoch: int) -> Pace:
        """The pace of a run over a training split."""
        if config.minutes is not None:
            return cls(2**31, config.minutes, config.warmup_share)
        steps = config.steps or config.epochs * steps_per_epoch
        # Whole steps of warm-up.
        return cls(steps, None, math.ceil(config.warmup_share * steps) / steps)

    def tick(self, clock: Clock, accelerator: Accelerator) -> None:
        """Read the clock: that of the first process, so that all have the same rate and stop together."""
        if self.limit is None:
            return
        seconds = clock.facts()["seconds"]
        if accelerator.num_processes > 1:
            seconds = float(broadcast(torch.tensor(seconds, device=accelerator.device)))
        self.minutes = seconds / 60

    def share(self, step: int) -> float:
        """Share of the run that is done before a step."""
        return step / self.steps if self.limit is None else min(1.0, self.minutes / self.limit)

    def over(self, step: int) -> bool:
        """Whether nothing is left to do before a step."""
        return step >= self.steps if self.limit is None else self.minutes >= self.limit

    def rate(self, step: int) -> float:
        """Share of the learning rate of a step."""
        return rate_at(self.share(step), self.warmup_share)
