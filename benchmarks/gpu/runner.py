"""Start, watch and end the steps of a run. Standard library only."""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from pathlib import Path

from benchmarks.gpu.carried import make_environment
from benchmarks.gpu.outcomes import RunResults, StepOutcome
from benchmarks.gpu.plan import PlannedStep
from benchmarks.gpu.processes import GRACE, StepProcess, hold_signals

POLL_SECONDS = 0.25
_LEAST_REHEARSED = 5.0


class Runner:
    """Runs the steps one after another, and in the background those that make folders.

    Attributes:
        results: results so far.
        out: folder for files that are copied back.
        work: folder for files that are not.
        rehearse: whether the run is a rehearsal at toy size.
        device: `cuda` or `cpu`.
        deadline: end of the run, by `time.monotonic`.
        processes: processes started so far, by step name.
    """

    def __init__(self, results: RunResults, out: Path, work: Path, seconds: float, rehearse: bool, device: str) -> None:
        self.results, self.out, self.work, self.rehearse, self.device = results, out, work, rehearse, device
        self.deadline = time.monotonic() + seconds
        self.processes: dict[str, StepProcess] = {}

    @property
    def left(self) -> float:
        """Seconds left."""
        return self.deadline - time.monotonic()

    def run(self) -> None:
        """Run all steps."""
        self.environment = make_environment(self.work, self.device)
        self.makers = deque(o for o in self.results.outcomes if o.step.makes and o.status == "waiting")
        self._tick()
        for outcome in (outcome for outcome in self.results.outcomes if not outcome.step.makes):
            if reason := self._obstacle(outcome.step):
                outcome.status, outcome.reason = "skipped", reason
                self.results.save()
                continue
            process = self._start(outcome, min(self._limit(outcome.step), self.left - self._reserve(outcome)))
            while process is not None and process.poll():
                self._kill_late(process)
                self._tick()
            print(f"{outcome.step.name}: {outcome.status} {outcome.reason}", flush=True)
        while self._making():
            self._tick()

    def stop(self, status: str, reason: str) -> None:
        """Kill all running processes, and record that the remaining steps were not started."""
        for process in self.processes.values():
            if process.poll():
                process.kill(status, reason)
        for outcome in self.results.outcomes:
            if outcome.status == "waiting":
                outcome.status, outcome.reason = status, reason

    def _limit(self, step: PlannedStep) -> float:
        return step.rehearsal if self.rehearse else step.seconds

    def _start(self, outcome: StepOutcome, limit: float) -> StepProcess | None:
        """Start a step; if that is impossible, record why and return None."""
        outcome.limit = limit
        with hold_signals():  # a signal here would leave a process that is not in the list yet
            try:
                process = StepProcess(outcome, self._command(outcome), self.environment, self.work)
            except OSError as error:
                outcome.status, outcome.reason = "failed", f"it could not be started: {error}"
                return None
            self.processes[outcome.step.name] = process
        return process

    def _tick(self) -> None:
        """Check the background, start its next step if it is idle, save, and wait a moment."""
        making = [process for process in self.processes.values() if process.outcome.step.makes]
        for process in making:
            if process.poll():
                self._kill_late(process)
        if self.makers and not any(process.outcome.status == "running" for process in making):
            outcome = self.makers.popleft()
            if self.left > (0 if self.rehearse else outcome.step.least):
                self._start(outcome, min(self._limit(outcome.step), self.left))
            else:
                outcome.status, outcome.reason = "skipped", f"{max(0, self.left):.0f} s were left"
        self.results.save()
        time.sleep(POLL_SECONDS)

    def _making(self) -> bool:
        """Whether a step runs in the background, or waits to."""
        return bool(self.makers) or any(p.outcome.step.makes and p.poll() for p in self.processes.values())

    def _kill_late(self, process: StepProcess) -> None:
        if (spent := time.monotonic() - process.began) > process.outcome.limit:
            process.kill("timeout", f"killed after {spent:.0f} s, at its limit or the end of the run")

    def _obstacle(self, step: PlannedStep) -> str:
        """Wait for the needs of a step; return why it cannot run, or an empty string."""
        if step.gpu and self.device == "cuda" and not self._has_gpu():
            return "no CUDA device was found; see the step environment"
        least = _LEAST_REHEARSED if self.rehearse else step.least
        while self._must_wait(step):
            if self.left < least:
                return f"the steps in the background were not done when {least:.0f} s were left"
            self._tick()
        if step.needs is not None and not (self.work / step.needs).is_dir():
            return f"{step.needs} was not made; see the steps that draw scenes"
        if self.left < least:
            return f"it needs {least:.0f} s, and {max(0, self.left):.0f} s were left"
        return ""

    def _must_wait(self, step: PlannedStep) -> bool:
        """Whether a step must wait for the background."""
        lacks = step.needs is not None and not (self.work / step.needs).is_dir()
        return (step.quiet or lacks) and self._making()

    def _reserve(self, outcome: StepOutcome) -> float:
        """Return the seconds that later steps need at least, so that a long step leaves them something."""
        later = self.results.outcomes[self.results.outcomes.index(outcome) + 1 :]
        # Ending a step takes time, too.
        needed = sum(other.step.least + 2 * GRACE for other in later if not other.step.makes)
        return min(needed, max(0.0, self.left - outcome.step.least))

    def _has_gpu(self) -> bool:
        """Whether the step `environment` saw a GPU; True if it is not among the steps."""
        environment = [o for o in self.results.outcomes if o.step.name == "environment"]
        return not environment or any(row.get("gpu") for row in environment[0].rows)

    def _command(self, outcome: StepOutcome) -> list[str]:
        step = outcome.step
        options = {
            "--name": step.name,
            "--device": self.device,
            "--seconds": f"{outcome.limit:.1f}",
            "--out": str(self.out),
            "--work": str(self.work),
        }
        command = [sys.executable, "-m", f"benchmarks.gpu.steps.{step.module or step.name}"]
        command += [word for option in options.items() for word in option]
        command += ["--toy"] if self.rehearse else []
        polite = ["nice", "-n", "10"] if step.makes and shutil.which("nice") else []
        return [*polite, *command]
