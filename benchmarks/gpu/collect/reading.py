"""Read the results of runs and check that they belong together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu.collect.rows import Row, number_at
from benchmarks.gpu.errors import KitError


@dataclass(frozen=True)
class RecordedStep:
    """A step of a run, as recorded in results.json."""

    name: str
    title: str = ""
    status: str = "waiting"
    seconds: float | None = None
    limit: float | None = None
    reason: str = ""
    stderr: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()

    @property
    def began(self) -> bool:
        """Whether the step was started."""
        never = self.status in ("skipped", "waiting") or (self.status == "interrupted" and not self.seconds)
        return bool(self.rows) or not never


@dataclass(frozen=True)
class GpuRun:
    """The content of one results.json."""

    facts: Row
    steps: tuple[RecordedStep, ...]

    @property
    def environment(self) -> Row:
        """Row that describes the machine; empty if missing."""
        rows = [row for step in self.steps if step.name == "environment" for row in step.rows]
        return next((row for row in rows if "torch" in row), {})

    @property
    def card(self) -> str | None:
        """Name of the GPU."""
        return self.environment.get("gpu")


def read_run(folder: Path) -> GpuRun:
    """Read the results of a run.

    Raises:
        KitError: results.json is missing, truncated, or was not written by this kit.
    """
    path = folder / "results.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KitError(f"{path}: {error.strerror or error}; give the folder that `run --out` wrote") from None
    except ValueError as error:
        raise KitError(f"{path}: cut off or not JSON ({error}); fetch it again") from None
    if not isinstance(content, dict) or content.get("kit") != 1 or not isinstance(content.get("steps"), list):
        raise KitError(f"{path}: not the results of this kit; give the folder that `run --out` wrote")
    steps = tuple(_read_step(entry, path) for entry in content["steps"])
    return GpuRun({key: value for key, value in content.items() if key != "steps"}, steps)


def _read_step(entry: Any, path: Path) -> RecordedStep:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise KitError(f"{path}: a step without a name; fetch it again")
    rows, stderr = entry.get("rows") or [], entry.get("stderr") or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not isinstance(stderr, list):
        raise KitError(f"{path}: the rows of {entry['name']} are not readable; fetch it again")
    return RecordedStep(
        entry["name"],
        title=str(entry.get("title") or entry["name"]),
        status=str(entry.get("status") or "waiting"),
        seconds=number_at(entry, "seconds"),
        limit=number_at(entry, "limit_s"),
        reason=str(entry.get("reason") or ""),
        stderr=tuple(map(str, stderr)),
        rows=tuple(rows),
    )


def check_together(runs: Sequence[GpuRun], folders: Sequence[Path]) -> None:
    """Refuse to compare two cards, or a rehearsal with a real run.

    Raises:
        KitError: the runs cannot be on one page.
    """
    for run, folder in zip(runs[1:], folders[1:], strict=True):
        if bool(run.facts.get("rehearsal")) != bool(runs[0].facts.get("rehearsal")):
            raise KitError(f"{folder}: a rehearsal and a real run cannot share a page; collect them apart")
    cards = {run.card: folder for run, folder in zip(runs, folders, strict=True) if run.card}
    if len(cards) > 1:
        named = ", ".join(f"{folder} has {card}" for card, folder in cards.items())
        raise KitError(f"{named}; collect one card at a time")
