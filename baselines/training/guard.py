"""Keep losses and gradients that are not finite out of the weights, and report them one step later.

Reading a value from a GPU waits for all work before it. So the optimizer gets a flag on the device that makes it skip
the update, and the value is read after the next step has been queued.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from earthreason.errors import EarthReasonError
from earthreason.files import write_text
from earthreason.plurals import count_of

from .data import Passes
from .records import save_offender

logger = logging.getLogger("earthreason.training")
SKIPPED_SHARE = 0.05
"""Largest share of skipped steps, once more than `max_skipped` were skipped."""
SAVED = 5
"""Number of skipped steps whose batches are saved."""
STOPPED = "stopped.txt"
"""File beside the saved batches with the reason why the run stopped."""


@dataclass(frozen=True)
class _Watched:
    """A step whose values are being copied from the device."""

    step: int
    passes: Passes
    values: Tensor
    copied: torch.cuda.Event | None


class Guard:
    """Skips the steps whose loss or gradient is not finite, and stops a run that has too many of them.

    Attributes:
        skipped: number of steps skipped, as far as they are checked.
    """

    def __init__(self, out: Path, rank: int, names: Sequence[str], max_skipped: int = 0) -> None:
        """Start with nothing watched.

        Args:
            out: folder of the run, in which the batches of skipped steps are saved.
            rank: number of this process.
            names: names of the values passed to `watch`, for the messages.
            max_skipped: maximum number of skipped steps in a row; 0 stops at the first one.
        """
        self.out, self.rank, self.names, self.max_skipped = out, rank, tuple(names), max_skipped
        self.waiting: deque[_Watched] = deque()
        self.skipped = 0
        self._row = 0
        self._row_there: Tensor | None = None  # the same count on the device, which is ahead of this one

    def watch(self, step: int, passes: Passes, values: Tensor) -> Tensor:
        """Queue the values of a step for `check`.

        Args:
            step: number of the step.
            passes: batches of the step.
            values: (names,) float32 values on the device.

        Returns:
            A float32 scalar on the device: 1 if a value is not finite or the run is to stop, else 0. As `found_inf` of
            a fused optimizer, it skips the update.
        """
        broken = values.isfinite().all().logical_not().float()
        before = torch.zeros_like(broken) if self._row_there is None else self._row_there
        # Steps after the one that stops the run must not change the weights either, so its count is kept.
        stopping = (before > self.max_skipped).float()
        flag = torch.maximum(broken, stopping)
        self._row_there = (before + 1) * flag
        copied = None
        if values.is_cuda:
            values = values.to("cpu", non_blocking=True)
            copied = torch.cuda.Event()
            copied.record()
        self.waiting.append(_Watched(step, passes, values, copied))
        return flag

    def check(self, keep: int = 0) -> bool:
        """Wait for and check the values of all steps but the last `keep`; return whether the last one was skipped.

        A warning names each skipped step; the batches of the first `SAVED` ones are saved in the folder of the run.

        Raises:
            EarthReasonError: more than `max_skipped` steps in a row were skipped, or more than that in all and more
                than `SKIPPED_SHARE` of the steps.
        """
        while len(self.waiting) > keep:
            watched = self.waiting.popleft()
            if watched.copied is not None:
                watched.copied.synchronize()
            broken = [
                f"the {name} of step {watched.step} is {value}"
                for name, value in zip(self.names, watched.values.tolist(), strict=True)
                if not math.isfinite(value)
            ]
            self._row = self._row + 1 if broken else 0
            if broken:
                self._skip(watched, broken[0])
        return self._row > 0

    def _skip(self, watched: _Watched, what: str) -> None:
        self.skipped += 1
        folder = self.out / "nan"
        stops = self._row > self.max_skipped
        if self.skipped <= SAVED or stops:
            save_offender(folder, watched.step, watched.passes, self.rank)
            what += f"; its batch is saved in {folder}"
        remedy = "Lower optim.learning_rate, set optim.clip=1, or continue from the checkpoint with precision=no"
        reason = ""
        if stops:
            reason = what if not self.max_skipped else f"{what}; {self._row} steps in a row were skipped"
        elif self.skipped > max(self.max_skipped, SKIPPED_SHARE * (watched.step + 1)):
            reason = f"{what}; {self.skipped} of {count_of(watched.step + 1, 'step')} skipped"
        if reason:
            write_text(folder / STOPPED, f"{reason}\n")
            raise EarthReasonError(f"{reason}. {remedy}")
        logger.warning("step %d is skipped: %s (%d skipped so far)", watched.step, what, self.skipped)
