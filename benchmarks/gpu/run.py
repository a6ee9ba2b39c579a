"""Run the plan, a process a step, and keep what is known at every moment. Standard library only.

Whatever happens to a step, the next one goes on; whatever happens to the run, `results.json` can be read.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.gpu.context import DESCRIBE, PACKED, ROOT, read_rows, rows_of
from benchmarks.gpu.errors import KitError
from benchmarks.gpu.plan import Step, choose_steps, step_names

LINES = 40
"""Of a step's errors that are kept."""
_POLL = 0.25
_GRACE = 3.0
_LEAST_REHEARSED = 5.0
_UNPACKING = 90.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """The run was told to stop."""


@dataclass
class Outcome:
    """What became of a step; `to_dict` is its entry in results.json."""

    step: Step
    status: str = "waiting"
    limit: float = 0.0
    seconds: float = 0.0
    reason: str = ""
    stderr: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "name": self.step.name, "title": self.step.title, "status": self.status, "limit_s": round(self.limit, 1),
            "seconds": round(self.seconds, 1), "reason": self.reason, "stderr": self.stderr, "rows": self.rows,
        }  # fmt: skip


class Results:
    """The file that tells what is known so far."""

    def __init__(self, out: Path, facts: dict[str, Any], steps: list[Step]) -> None:
        """Begin with every step waiting."""
        self.path, self.facts = out / "results.json", facts
        self.outcomes = [Outcome(step) for step in steps]
        self.began = time.monotonic()

    def save(self, finished: bool = False) -> None:
        """Write the file whole, or leave the one before: a full disk costs the newest rows only."""
        content = {
            **self.facts, "seconds": round(time.monotonic() - self.began, 1), "finished": finished,
            "steps": [outcome.to_dict() for outcome in self.outcomes],
        }  # fmt: skip
        temporary = self.path.with_suffix(".part")
        try:
            temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
            temporary.replace(self.path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            print(f"{self.path}: {error}; the results of before stay there", file=sys.stderr)


class Job:
    """The process of a step."""

    def __init__(self, outcome: Outcome, command: list[str], environment: dict[str, str], work: Path) -> None:
        """Start it, in a group of its own, so that its children end with it."""
        self.outcome, self.rows = outcome, rows_of(work, outcome.step.name)
        self.log = work / f"{outcome.step.name}.log"
        outcome.status, self.began = "running", time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def look(self) -> bool:
        """Take over its rows; whether it still runs."""
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
            self.outcome.stderr = self._tail()
            what = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            self.outcome.reason = f"{what}: {self.outcome.stderr[-1]}" if self.outcome.stderr else what
        return False

    def kill(self, status: str, reason: str) -> None:
        """End it and everything it started; its rows stay."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, sign)
            try:
                self.process.wait(_GRACE)
                break
            except subprocess.TimeoutExpired:
                continue
        self.look()
        self.outcome.status, self.outcome.reason, self.outcome.stderr = status, reason, self._tail()

    def _tail(self) -> list[str]:
        lines = _end_of(self.log).splitlines() if self.log.is_file() else []
        return [line for line in lines if line.strip()][-LINES:]


def run(
    out: Path, minutes: float, rehearse: bool, only: list[str], device: str | None, scenes: Path | None = None
) -> int:
    """Do the plan; 0 if every step that was tried succeeded, else 1.

    Args:
        out: folder of what comes back; made if need be.
        minutes: for everything.
        rehearse: at toy size, on the CPU unless `device` says otherwise.
        only: names of steps; empty for all.
        device: `cuda` or `cpu`; None is what `rehearse` says.
        scenes: folder of sets that were drawn before; those in it are not drawn again.

    Raises:
        KitError: a step is unknown, or `out` cannot be written.
    """
    steps = _choose(only)
    if scenes is not None and not scenes.is_dir():
        raise KitError(f"--scenes {scenes}: there is no such folder")
    device = device or ("cpu" if rehearse else "cuda")
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "results.part").touch()
        (out / "results.json").unlink(missing_ok=True)
    except OSError as error:
        raise KitError(f"--out {out}: {error.strerror or error}; name a folder that can be written") from None
    work = Path(tempfile.mkdtemp(prefix="earthreason-gpu-"))
    results = Results(out, _facts(minutes, rehearse, device), steps)
    for outcome in results.outcomes if scenes is not None else []:
        given = scenes / Path(outcome.step.makes).name if outcome.step.makes else None
        if given is not None and given.is_dir():
            (work / "scenes").mkdir(exist_ok=True)
            (work / str(outcome.step.makes)).symlink_to(given.resolve(), target_is_directory=True)
            outcome.status, outcome.reason = "skipped", f"drawn before, in {given}"
    results.save()
    runner = _Runner(results, out.resolve(), work, minutes * 60, rehearse, device)
    before = {sign: signal.signal(sign, _interrupt) for sign in _SIGNALS}
    try:
        runner.run()
    except Interrupted:
        for sign in before:
            signal.signal(sign, signal.SIG_IGN)  # what stops the steps is not stopped itself
        runner.stop("interrupted", "the run was interrupted")
        print("interrupted; results.json has what was known", file=sys.stderr)
    except BaseException:
        runner.stop("interrupted", "the kit itself broke")
        raise
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
        results.save(finished=all(outcome.status != "interrupted" for outcome in results.outcomes))
        _bring_logs(work, out)
        shutil.rmtree(work, ignore_errors=True)
    for outcome in results.outcomes:
        print(f"{outcome.step.name:14s} {outcome.status:11s} {outcome.seconds:6.1f} s  {outcome.reason}", flush=True)
    print(f"results: {results.path}")
    return int(any(outcome.status in ("failed", "timeout", "interrupted") for outcome in results.outcomes))


def _choose(only: list[str]) -> list[Step]:
    try:
        return choose_steps(only)
    except KeyError as error:
        raise KitError(f"there is no step {error}; the steps are {', '.join(step_names())}") from None


@contextmanager
def _held_signals() -> Iterator[None]:
    """Let signals to stop come after the block. They are not blocked, as a process started in it would inherit that."""
    came: list[int] = []
    before = {sign: signal.signal(sign, lambda number, _: came.append(number)) for sign in _SIGNALS}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
    if came:
        raise Interrupted


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted


def _facts(minutes: float, rehearse: bool, device: str) -> dict[str, Any]:
    return {
        "kit": 1, "rehearsal": rehearse, "device": device, "minutes": minutes, "commit": _commit(),
        "packed_from": _packed_from(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python -m benchmarks.gpu", *sys.argv[1:]]),
    }  # fmt: skip


def _commit() -> str | None:
    """Commit of the checkout, None where the tree came without its history."""
    if not ((ROOT / ".git").exists() and shutil.which("git")):
        return None
    found = subprocess.run(["git", *DESCRIBE], cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def _packed_from() -> str | None:
    """Commit that `pack` wrote down: a carried tree may lie on an older commit, or on none."""
    packed = PACKED / "commit.txt"
    return packed.read_text(encoding="utf-8").strip() if packed.is_file() else None


def _bring_logs(work: Path, out: Path) -> None:
    """What all steps printed, in one file, as few files come back."""
    parts = [f"==== {path.stem}\n{_end_of(path)}" for path in sorted(work.glob("*.log"))]
    try:
        (out / "log.txt").write_text("\n".join(parts), encoding="utf-8")
    except OSError as error:
        print(f"{out / 'log.txt'}: {error}", file=sys.stderr)


def _end_of(path: Path) -> str:
    """The last million bytes of a file."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1_000_000))
        return file.read().decode("utf-8", errors="replace")


class _Runner:
    """Starts, watches and ends the processes."""

    def __init__(self, results: Results, out: Path, work: Path, seconds: float, rehearse: bool, device: str) -> None:
        self.results, self.out, self.work, self.rehearse, self.device = results, out, work, rehearse, device
        self.deadline = time.monotonic() + seconds
        self.jobs: dict[str, Job] = {}

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()

    def run(self) -> None:
        """Do all steps; those that make folders for others run beside them."""
        self.environment = self._environment()
        self.makers = deque(o for o in self.results.outcomes if o.step.makes and o.status == "waiting")
        self._tick()
        for outcome in (outcome for outcome in self.results.outcomes if not outcome.step.makes):
            if reason := self._obstacle(outcome.step):
                outcome.status, outcome.reason = "skipped", reason
                self.results.save()
                continue
            job = self._start(outcome, min(self._limit(outcome.step), self.left - self._reserve(outcome)))
            while job is not None and job.look():
                self._kill_late(job)
                self._tick()
            print(f"{outcome.step.name}: {outcome.status} {outcome.reason}", flush=True)
        while self._making():
            self._tick()

    def _limit(self, step: Step) -> float:
        return step.rehearsal if self.rehearse else step.seconds

    def _start(self, outcome: Outcome, limit: float) -> Job | None:
        """Start a step; None where that is not possible, which its outcome then tells."""
        outcome.limit = limit
        with _held_signals():  # a process that is not among the jobs yet would be forgotten
            try:
                job = Job(outcome, self._command(outcome), self.environment, self.work)
            except OSError as error:
                outcome.status, outcome.reason = "failed", f"it could not be started: {error}"
                return None
            self.jobs[outcome.step.name] = job
        return job

    def _tick(self) -> None:
        """Let a moment pass, in which what runs in the background is looked at and the next such step begun."""
        for job in [job for job in self.jobs.values() if job.outcome.step.makes and job.look()]:
            self._kill_late(job)
        running = any(job.outcome.status == "running" for job in self.jobs.values() if job.outcome.step.makes)
        if self.makers and not running:
            outcome = self.makers.popleft()
            if self.left > (0 if self.rehearse else outcome.step.least):
                self._start(outcome, min(self._limit(outcome.step), self.left))
            else:
                outcome.status, outcome.reason = "skipped", f"{max(0, self.left):.0f} s were left"
        self.results.save()
        time.sleep(_POLL)

    def _making(self) -> bool:
        """Whether something is still to be done in the background."""
        return bool(self.makers) or any(job.outcome.step.makes and job.look() for job in self.jobs.values())

    def _kill_late(self, job: Job) -> None:
        if (spent := time.monotonic() - job.began) > job.outcome.limit:
            job.kill("timeout", f"killed after {spent:.0f} s, its limit or the end of the run")

    def stop(self, status: str, reason: str) -> None:
        """End whatever runs, and say of the rest that it was not begun."""
        for job in self.jobs.values():
            if job.look():
                job.kill(status, reason)
        for outcome in self.results.outcomes:
            if outcome.status == "waiting":
                outcome.status, outcome.reason = status, reason

    def _obstacle(self, step: Step) -> str:
        """Why a step cannot be done, after waiting for what it needs; empty if it can."""
        if step.gpu and self.device == "cuda" and not self._found_gpu():
            return "no CUDA device was found; the step environment says more"
        least = _LEAST_REHEARSED if self.rehearse else step.least
        while self._awaits(step):
            if self.left < least:
                return f"what runs in the background was not done when {least:.0f} s were left"
            self._tick()
        if step.needs is not None and not (self.work / step.needs).is_dir():
            return f"{step.needs} was not made; the steps that draw scenes say why"
        if self.left < least:
            return f"it needs {least:.0f} s, and {max(0, self.left):.0f} s were left"
        return ""

    def _awaits(self, step: Step) -> bool:
        """Whether a step has to wait for the background."""
        lacks = step.needs is not None and not (self.work / step.needs).is_dir()
        return (step.quiet or lacks) and self._making()

    def _reserve(self, outcome: Outcome) -> float:
        """Seconds that the steps behind this one need at least, so that a long one leaves them something."""
        behind = self.results.outcomes[self.results.outcomes.index(outcome) + 1 :]
        # Ending a step takes time, too.
        needed = sum(later.step.least + 2 * _GRACE for later in behind if not later.step.makes)
        return min(needed, max(0.0, self.left - outcome.step.least))

    def _found_gpu(self) -> bool:
        found = [o for o in self.results.outcomes if o.step.name == "environment"]
        return not found or any(row.get("gpu") for row in found[0].rows)

    def _command(self, outcome: Outcome) -> list[str]:
        module = outcome.step.module or outcome.step.name
        command = [
            sys.executable, "-m", f"benchmarks.gpu.steps.{module}", "--name", outcome.step.name,
            "--device", self.device, "--seconds", f"{outcome.limit:.1f}", "--out", str(self.out),
            "--work", str(self.work),
        ]  # fmt: skip
        command += ["--toy"] if self.rehearse else []
        polite = ["nice", "-n", "10"] if outcome.step.makes and shutil.which("nice") else []
        return [*polite, *command]

    def _environment(self) -> dict[str, str]:
        """Of all steps: the carried packages are on their path, the goldens at hand, and nothing is fetched."""
        paths = [str(ROOT), *self._unpack()]
        return {
            **os.environ, "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
            "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(self.work / "cache"),
            "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false",
            "EARTHREASON_GPU_KIT": self.device,
            **({"OMP_NUM_THREADS": "1"} if self.device == "cpu" else {}),
            **({"EARTHREASON_SHARED": str(PACKED / "shared")} if (PACKED / "shared").is_dir() else {}),
        }  # fmt: skip

    def _unpack(self) -> list[str]:
        """Where the carried packages are unpacked; nowhere in a rehearsal on the machine that packed them."""
        wheels = sorted((PACKED / "wheels").glob("*.whl"))
        tag = f"-cp{sys.version_info.major}{sys.version_info.minor}-"
        if not any(tag in wheel.name for wheel in wheels):
            return []
        site = self.work / "site"
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile",
                   "--no-cache-dir", "--target", str(site), *map(str, wheels)]  # fmt: skip
        try:
            subprocess.run(install, capture_output=True, text=True, check=True, timeout=_UNPACKING)
        except subprocess.CalledProcessError as error:
            print(f"the carried packages cannot be unpacked: {error.stderr.strip()[-400:]}", file=sys.stderr)
        except subprocess.TimeoutExpired:
            print(f"the carried packages were not unpacked in {_UNPACKING:.0f} s", file=sys.stderr)
        return [str(site)]
