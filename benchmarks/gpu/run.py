"""Run the plan, each step in its own process, and save the results continually. Standard library only.

If a step fails, the next one still runs; if the run is killed, `results.json` can still be read.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.gpu.carried import packed_commit
from benchmarks.gpu.context import DESCRIBE, ROOT
from benchmarks.gpu.errors import KitError
from benchmarks.gpu.outcomes import RunResults
from benchmarks.gpu.plan import SCENES, PlannedStep, choose_steps, step_names
from benchmarks.gpu.processes import STOP_SIGNALS, InterruptedRunError, interrupt, read_end
from benchmarks.gpu.runner import Runner


def run(
    out: Path, minutes: float, rehearse: bool, only: list[str], device: str | None, scenes: Path | None = None
) -> int:
    """Run the plan; return 0 if every step that was tried succeeded, else 1.

    Args:
        out: folder for the results; it is made if it does not exist.
        minutes: time limit of the run.
        rehearse: run every step at toy size, on the CPU unless `device` says otherwise.
        only: names of the steps to run; all if empty.
        device: `cuda` or `cpu`; None is `cpu` in a rehearsal, else `cuda`.
        scenes: folder that keeps the sets of scenes; those in it are not drawn again.

    Raises:
        KitError: a step is unknown, or `scenes` or `out` cannot be written.
    """
    steps = _choose(only)
    device = device or ("cpu" if rehearse else "cuda")
    if scenes is not None:
        try:
            scenes.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise KitError(f"--scenes {scenes}: {error.strerror or error}; choose a writable folder") from None
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "results.part").touch()
        (out / "results.json").unlink(missing_ok=True)
    except OSError as error:
        raise KitError(f"--out {out}: {error.strerror or error}; choose a writable folder") from None
    work = Path(tempfile.mkdtemp(prefix="earthreason-gpu-"))
    results = RunResults(out, _facts(minutes, rehearse, device), steps)
    if scenes is not None:
        _link_scenes(scenes, work, results)
    results.save()
    runner = Runner(results, out.resolve(), work, minutes * 60, rehearse, device)
    before = {sign: signal.signal(sign, interrupt) for sign in STOP_SIGNALS}
    try:
        runner.run()
    except InterruptedRunError:
        for sign in before:
            signal.signal(sign, signal.SIG_IGN)  # what stops the steps is not stopped itself
        runner.stop("interrupted", "the run was interrupted")
        print("interrupted; results.json has what was recorded until then", file=sys.stderr)
    except BaseException:
        runner.stop("interrupted", "an error in the kit ended the run")
        raise
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
        results.save(finished=all(outcome.status != "interrupted" for outcome in results.outcomes))
        _join_logs(work, out)
        shutil.rmtree(work, ignore_errors=True)
    for outcome in results.outcomes:
        print(f"{outcome.step.name:14s} {outcome.status:11s} {outcome.seconds:6.1f} s  {outcome.reason}", flush=True)
    print(f"results: {results.path}")
    return int(any(outcome.status in ("failed", "timeout", "interrupted") for outcome in results.outcomes))


def _choose(only: list[str]) -> list[PlannedStep]:
    try:
        return choose_steps(only)
    except KeyError as error:
        raise KitError(f"there is no step {error}; the steps are {', '.join(step_names())}") from None


def _link_scenes(scenes: Path, work: Path, results: RunResults) -> None:
    """Keep the sets of scenes in a folder, and skip the steps that would draw those it has."""
    (work / SCENES).symlink_to(scenes.resolve(), target_is_directory=True)
    for outcome in results.outcomes:
        if outcome.step.makes and (work / outcome.step.makes).is_dir():
            outcome.status, outcome.reason = "skipped", f"drawn earlier, in {scenes / Path(outcome.step.makes).name}"


def _facts(minutes: float, rehearse: bool, device: str) -> dict[str, Any]:
    return {
        "kit": 1,
        "rehearsal": rehearse,
        "device": device,
        "minutes": minutes,
        "commit": _commit(),
        "packed_from": packed_commit(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python -m benchmarks.gpu", *sys.argv[1:]]),
    }


def _commit() -> str | None:
    """Return the commit of the checkout; None if it came without its history."""
    if not ((ROOT / ".git").exists() and shutil.which("git")):
        return None
    described = subprocess.run(["git", *DESCRIBE], cwd=ROOT, capture_output=True, text=True, check=False)
    return described.stdout.strip() or None


def _join_logs(work: Path, out: Path) -> None:
    """Write the output of all steps into one file, because few files are copied back."""
    parts = [f"==== {path.stem}\n{read_end(path)}" for path in sorted(work.glob("*.log"))]
    try:
        (out / "log.txt").write_text("\n".join(parts), encoding="utf-8")
    except OSError as error:
        print(f"{out / 'log.txt'}: {error}", file=sys.stderr)
