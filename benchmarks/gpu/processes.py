"""The processes of the steps, and the signals that stop a run. Standard library only."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from benchmarks.gpu.context import ROOT, read_rows, rows_of
from benchmarks.gpu.outcomes import StepOutcome

LINES = 40
"""Last lines of output that are kept from a step that fails."""
GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptedRunError(Exception):
    """A signal stopped the run."""


class StepProcess:
    """The process of a step.

    Attributes:
        outcome: what becomes of the step.
        rows: file that the step writes its rows to.
        log: file with everything that it prints.
        began: when it was started, by `time.monotonic`.
        process: the process itself.
    """

    def __init__(self, outcome: StepOutcome, command: list[str], environment: dict[str, str], work: Path) -> None:
        """Start it, in a process group of its own, so that its children end with it."""
        self.outcome, self.rows = outcome, rows_of(work, outcome.step.name)
        self.log = work / f"{outcome.step.name}.log"
        outcome.status, self.began = "running", time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def poll(self) -> bool:
        """Read the rows written so far; return whether it still runs."""
        if self.outcome.status != "running":
            return False
        code = self.process.poll()
        self.outcome.rows = read_rows(self.rows)
        self.outcome.seconds = time.monotonic() - self.began
        if code is None:
            return True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)  # what it started and left behind
        self.outcome.status = "ok" if code == 0 else "failed"
        if code:
            self.outcome.stderr = self._last_lines()
            what = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            self.outcome.reason = f"{what}: {self.outcome.stderr[-1]}" if self.outcome.stderr else what
        return False

    def kill(self, status: str, reason: str) -> None:
        """Kill it and everything it started, and keep its rows."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, sign)
            try:
                self.process.wait(GRACE)
                break
            except subprocess.TimeoutExpired:
                continue
        self.poll()
        self.outcome.status, self.outcome.reason, self.outcome.stderr = status, reason, self._last_lines()

    def _last_lines(self) -> list[str]:
        lines = read_end(self.log).splitlines() if self.log.is_file() else []
        return [line for line in lines if line.strip()][-LINES:]


def read_end(path: Path) -> str:
    """Read the last million bytes of a file."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1_000_000))
        return file.read().decode("utf-8", errors="replace")


@contextmanager
def hold_signals() -> Iterator[None]:
    """Let the signals that stop a run act after the block.

    They are not blocked, because a process started in the block would inherit that.
    """
    came: list[int] = []
    before = {sign: signal.signal(sign, lambda number, _: came.append(number)) for sign in STOP_SIGNALS}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
    if came:
        raise InterruptedRunError


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handle a signal that stops a run.

    Raises:
        InterruptedRunError: always.
    """
    raise InterruptedRunError
