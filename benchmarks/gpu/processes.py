"""Processes of the steps, and signals that stop a run. Standard library only."""

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
"""Number of last lines of output that are kept of a failed step."""
GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptedRunError(Exception):
    """A signal stopped the run."""


class StepProcess:
    """The process of a step.

    Attributes:
        outcome: outcome of the step.
        rows: file with the rows that the step writes.
        log: file with all its output.
        began: start of the process, by `time.monotonic`.
        process: process handle.
    """

    def __init__(self, outcome: StepOutcome, command: list[str], environment: dict[str, str], work: Path) -> None:
        """Start the process in its own process group, so that its children end with it."""
        self.outcome, self.rows = outcome, rows_of(work, outcome.step.name)
        self.log = work / f"{outcome.step.name}.log"
        outcome.status, self.began = "running", time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def poll(self) -> bool:
        """Read the rows written so far; return whether the process still runs."""
        if self.outcome.status != "running":
            return False
        code = self.process.poll()
        self.outcome.rows = read_rows(self.rows)
        self.outcome.seconds = time.monotonic() - self.began
        if code is None:
            return True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)  # kills children that outlived it
        self.outcome.status = "ok" if code == 0 else "failed"
        if code:
            self.outcome.stderr = self._last_lines()
            what = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            self.outcome.reason = f"{what}: {self.outcome.stderr[-1]}" if self.outcome.stderr else what
        return False

    def kill(self, status: str, reason: str) -> None:
        """Kill the process and its children, and keep its rows."""
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
    """Postpone the signals that stop a run until the end of the block.

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
