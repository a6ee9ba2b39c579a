"""Losses and gradients that are no numbers: kept from the weights at once, told a step later.

To look at a value on a GPU is to wait for everything before it. So the optimizer itself gets a flag on the device that
makes it leave the weights alone, and the value is read when the next step has been handed to the device.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from baselines.training.data import Passes
from baselines.training.records import save_offender
from earthreason.errors import EarthReasonError


@dataclass(frozen=True)
class _Watched:
    """A step whose values are on their way from the device."""

    step: int
    passes: Passes
    values: Tensor
    copied: torch.cuda.Event | None


class Guard:
    """Stops a run at the first step whose loss or gradient is no number; the weights stay those of before."""

    def __init__(self, out: Path, rank: int, names: Sequence[str]) -> None:
        """Start with nothing watched.

        Args:
            out: folder of the run, for the batch that did it.
            rank: of this process.
            names: of the values that `watch` is given, for the message.
        """
        self.out, self.rank, self.names = out, rank, tuple(names)
        self.waiting: deque[_Watched] = deque()
        self.broken: Tensor | None = None

    def watch(self, step: int, passes: Passes, values: Tensor) -> Tensor:
        """Look at the values of a step, later.

        Args:
            step: its number.
            passes: its batches.
            values: (names,) float32 on the device.

        Returns:
            A scalar, float32 on the device: 1 if this step's values or those of a step before are no numbers, else 0.
            As `found_inf` of a fused optimizer it keeps the weights as they are.
        """
        broken = values.isfinite().all().logical_not().float()
        # What follows a broken step must not reach the weights either.
        self.broken = broken if self.broken is None else torch.maximum(self.broken, broken)
        copied = None
        if values.is_cuda:
            values = values.to("cpu", non_blocking=True)
            copied = torch.cuda.Event()
            copied.record()
        self.waiting.append(_Watched(step, passes, values, copied))
        return self.broken

    def check(self, keep: int = 0) -> None:
        """Read the values of all steps but the last `keep`, waiting for them.

        Raises:
            EarthReasonError: one is no number; its batch is kept in the folder of the run.
        """
        while len(self.waiting) > keep:
            watched = self.waiting.popleft()
            if watched.copied is not None:
                watched.copied.synchronize()
            for name, value in zip(self.names, watched.values.tolist(), strict=True):
                if not math.isfinite(value):
                    folder = save_offender(self.out, watched.step, watched.passes, self.rank)
                    raise EarthReasonError(
                        f"the {name} of step {watched.step} is {value}; its batch is kept in {folder}. Lower "
                        "optim.learning_rate, set optim.clip=1, or continue from the checkpoint with precision=no"
                    )
