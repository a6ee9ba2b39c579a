"""Keep losses and gradients that are not finite out of the weights, and report them one step later.

Reading a value from a GPU waits for all work before it. So the optimizer gets a flag on the device that makes it skip
the update, and the value is read after the next step has been queued.
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
    """A step whose values are being copied from the device."""

    step: int
    passes: Passes
    values: Tensor
    copied: torch.cuda.Event | None


class Guard:
    """Stops a run at the first step whose loss or gradient is not finite; keeps the weights from before it."""

    def __init__(self, out: Path, rank: int, names: Sequence[str]) -> None:
        """Start with nothing watched.

        Args:
            out: folder of the run, in which the batch of such a step is saved.
            rank: number of this process.
            names: names of the values passed to `watch`, for the message.
        """
        self.out, self.rank, self.names = out, rank, tuple(names)
        self.waiting: deque[_Watched] = deque()
        self.broken: Tensor | None = None

    def watch(self, step: int, passes: Passes, values: Tensor) -> Tensor:
        """Queue the values of a step for `check`.

        Args:
            step: number of the step.
            passes: batches of the step.
            values: (names,) float32 values on the device.

        Returns:
            A float32 scalar on the device: 1 if a value of this or an earlier step is not finite, else 0. As
            `found_inf` of a fused optimizer, it skips the update.
        """
        broken = values.isfinite().all().logical_not().float()
        # Steps after a broken one must not change the weights either.
        self.broken = broken if self.broken is None else torch.maximum(self.broken, broken)
        copied = None
        if values.is_cuda:
            values = values.to("cpu", non_blocking=True)
            copied = torch.cuda.Event()
            copied.record()
        self.waiting.append(_Watched(step, passes, values, copied))
        return self.broken

    def check(self, keep: int = 0) -> None:
        """Wait for and check the values of all steps but the last `keep`.

        Raises:
            EarthReasonError: a value is not finite; the batch is saved in the folder of the run.
        """
        while len(self.waiting) > keep:
            watched = self.waiting.popleft()
            if watched.copied is not None:
                watched.copied.synchronize()
            for name, value in zip(self.names, watched.values.tolist(), strict=True):
                if not math.isfinite(value):
                    folder = save_offender(self.out, watched.step, watched.passes, self.rank)
                    raise EarthReasonError(
                        f"the {name} of step {watched.step} is {value}; its batch is saved in {folder}. Lower "
                        "optim.learning_rate, set optim.clip=1, or continue from the checkpoint with precision=no"
                    )
