"""The first sections of the page: runs and machine, outcome of each step, and goals."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

from benchmarks.gpu.collect.cells import LABELS, code, escape, number, number_column, strip_colours, with_unit
from benchmarks.gpu.collect.goals import GOAL_BATCH, Goal, judge_goals
from benchmarks.gpu.collect.page import ResultPage
from benchmarks.gpu.collect.reading import GpuRun, RecordedStep
from benchmarks.gpu.collect.rows import Row, number_at

REHEARSAL = "This is a rehearsal on a CPU at toy size; its figures mean nothing"
_VERSIONS = {
    "CUDA": "cuda",
    "PyTorch": "torch",
    "Triton": "triton",
    "Transformers": "transformers",
    "Accelerate": "accelerate",
    "NumPy": "numpy",
    "Python": "python",
}


def _started(run: GpuRun) -> str:
    return str(run.facts.get("started") or "").replace("T", " ").replace("+00:00", " UTC")


_FACTS: dict[str, Callable[[GpuRun], object]] = {
    "started": _started,
    "command": lambda run: code(run.facts.get("command")),
    "commit": lambda run: code(run.facts.get("commit")),
    "packed from": lambda run: code(run.facts.get("packed_from")),
    "took": lambda run: with_unit(run.facts, "seconds", "s"),
    "card": lambda run: run.card or ("none: CPU" if run.facts.get("device") == "cpu" else None),
    "memory of the card": lambda run: with_unit(run.environment, "gpu_memory_gib", "GiB"),
    "driver": lambda run: run.environment.get("driver"),
    "CPU cores": lambda run: run.environment.get("cpus"),
    "memory": lambda run: with_unit(run.environment, "memory_gib", "GiB"),
}


def write_head(page: ResultPage) -> None:
    """Write the title, the runs and the machine."""
    page.say("# GPU benchmark results")
    if page.rehearsal:
        page.say(f"**{REHEARSAL}.**")
    which = "run" if len(page.runs) == 1 else "runs"
    page.say(f"`python -m benchmarks.gpu collect` wrote this page from the results of the {which} below.")
    page.say("## Runs and machine")
    heads = ["run"] if len(page.runs) == 1 else [f"run {n + 1}" for n in range(len(page.runs))]
    body = [[name, *(escape(get(run)) for run in page.runs)] for name, get in _FACTS.items()]
    body += [[name, *(escape(run.environment.get(key)) for run in page.runs)] for name, key in _VERSIONS.items()]
    page.table(["", *heads], body, left=len(heads) + 1)
    if any(run.facts.get("finished") is False for run in page.runs):
        page.say("A run did not finish; the page has what it had recorded until then.")
    ceilings = [row for row in page.rows("environment") if "ceiling" in row]
    if ceilings:
        page.say("Ceilings of the machine, as the step `environment` measured them:")
        page.tabulate(
            ceilings,
            (
                ("ceiling", lambda row: escape(_ceiling(row))),
                ("TFLOP/s", lambda row: number(row.get("tflops"), 1 if (number_at(row, "tflops") or 0) > 1 else 3)),
                number_column("GB/s", "gb_per_s"),
            ),
        )


def _ceiling(row: Row) -> str:
    dtype = row.get("dtype")
    return f"{row['ceiling']}, {LABELS.get(dtype, dtype)}" if isinstance(dtype, str) else str(row["ceiling"])


def write_steps(page: ResultPage) -> None:
    """Write the outcome of each step, with the last lines of output of those that failed."""
    page.say("## Steps")
    several = len(page.runs) > 1
    head = ["step", "purpose", "status", "reason", "seconds", "limit"]
    body = [_step_cells(step) for step in page.steps.values()]
    if several:
        head.append("run")
        body = [[*cells, str(page.origins[name])] for name, cells in zip(page.steps, body, strict=True)]
    page.table(head, body, left=4)
    for step in page.steps.values():
        lines = [html.escape(strip_colours(line).rstrip()) for line in step.stderr if line.strip()]
        if lines and step.status != "ok":
            summary = f"<summary>Last output of <code>{html.escape(step.name)}</code></summary>"
            page.say("\n".join(["<details>", summary, "<pre>", *lines, "</pre>", "</details>"]))


def _step_cells(step: RecordedStep) -> list[str]:
    return [
        f"`{step.name}`",
        escape(step.title),
        step.status,
        escape(step.reason) if step.reason else "",
        number(step.seconds, 1),
        number(step.limit),
    ]


def write_goals(page: ResultPage) -> None:
    """Write which goals were met."""
    page.say("## Goals")
    goals: Sequence[Goal] = judge_goals(
        page.rows("inference", "compiled"), page.rows("end_to_end"), page.rows("training_step"), page.rows("scores")
    )
    if page.rehearsal:
        goals = [Goal(goal.what, goal.required) for goal in goals]
        page.say("A rehearsal is not compared with the goals.")
    else:
        cards = {run.card for run in page.runs if run.card}
        on = f" These runs used: {', '.join(sorted(cards))}." if cards else ""
        page.say(
            f"The goals were set for an H100.{on} Inference is compared at batch {GOAL_BATCH}, or at the largest batch "
            "that both implementations ran. The fastest of our variants counts, with the memory it takes; against the "
            "reference in float32 it may run in any precision. The table under Inference has every pair. Scores are "
            "those at the threshold chosen on validation."
        )
    page.table(
        ["goal", "measured with", "verdict", "required", "measured"],
        [[escape(goal.what), escape(goal.case), goal.verdict, goal.required, goal.measured] for goal in goals],
        left=3,
    )
