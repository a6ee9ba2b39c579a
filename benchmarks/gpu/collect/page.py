"""A page under construction: its results, and the paragraphs, tables and figures written so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.gpu.collect.cells import Column, escape
from benchmarks.gpu.collect.reading import GpuRun, RecordedStep
from benchmarks.gpu.collect.rows import Row
from earthreason.reports.svg import save_figure


@dataclass
class ResultPage:
    """A page of results.

    Attributes:
        runs: runs whose results are on the page.
        images: folder for the figures.
        link: path of that folder, relative to the page.
        steps: result of each step by name.
        origins: number of the run that each result comes from.
        lines: lines written so far.
    """

    runs: list[GpuRun]
    images: Path
    link: str
    steps: dict[str, RecordedStep] = field(default_factory=dict)
    origins: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    @property
    def rehearsal(self) -> bool:
        """Whether a run was a rehearsal, whose figures are meaningless."""
        return any(run.facts.get("rehearsal") for run in self.runs)

    def rows(self, *names: str) -> list[Row]:
        """Return the rows of some steps."""
        return [row for name in names if name in self.steps for row in self.steps[name].rows]

    def say(self, *paragraphs: str) -> None:
        """Add paragraphs."""
        for paragraph in paragraphs:
            self.lines += [paragraph, ""]

    def table(self, head: Sequence[str], body: Iterable[Sequence[str]], left: int = 1) -> None:
        """Add a table; its first `left` columns are texts, the others numbers."""
        rules = ["---" if n < left else "---:" for n in range(len(head))]
        self.say("\n".join(f"| {' | '.join(cells)} |" for cells in (head, rules, *body)))

    def tabulate(self, rows: Iterable[Row], columns: Sequence[Column], left: int = 1) -> None:
        """Add a table with a line for each row; its first `left` columns are texts, the others numbers."""
        head = [heading for heading, _ in columns]
        self.table(head, [[cell(row) for _, cell in columns] for row in rows], left)

    def figure(self, name: str, title: str, draw: Callable[[Figure], bool], size: tuple[float, float]) -> None:
        """Draw a figure and insert it. If there is nothing to draw, delete the figure of an earlier page."""
        path = self.images / f"{name}.svg"
        with mpl.rc_context({"font.size": 8}):
            drawn = Figure(figsize=size, layout="constrained")
            if not draw(drawn):
                path.unlink(missing_ok=True)
                return
            self.images.mkdir(parents=True, exist_ok=True)
            save_figure(drawn, path)
        self.say(f"![{title}]({self.link}/{name}.svg)")

    def section(self, title: str, *names: str) -> bool:
        """Begin a section about some steps and name missing results; return whether there are rows to show."""
        self.say(f"## {title}")
        any_rows = bool(self.rows(*names))
        for name in names:
            step = self.steps.get(name, RecordedStep(name))
            if step.status == "ok" and step.rows:
                continue
            if step.rows:
                what = "Failed" if step.status == "failed" else "Cut short"
            else:
                what = "No result" if step.began else "Not run"
            self.say(f"{f'`{name}`: ' if len(names) > 1 else ''}{what}: {escape(self._reason(step))}")
        return any_rows

    def _reason(self, step: RecordedStep) -> str:
        """Return the reason why a step has no results."""
        if step.name not in self.steps:
            return "it was not among the chosen steps"
        known = {"ok": "it measured nothing", "running": "the run ended before the step did"}
        return step.reason or known.get(step.status, step.status)
