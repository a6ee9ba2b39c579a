"""Outcomes of the steps of a run, and results.json. Standard library only."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu.plan import PlannedStep


@dataclass
class StepOutcome:
    """Outcome of a step."""

    step: PlannedStep
    status: str = "waiting"
    limit: float = 0.0
    seconds: float = 0.0
    reason: str = ""
    stderr: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return its entry in results.json."""
        return {
            "name": self.step.name,
            "title": self.step.title,
            "status": self.status,
            "limit_s": round(self.limit, 1),
            "seconds": round(self.seconds, 1),
            "reason": self.reason,
            "stderr": self.stderr,
            "rows": self.rows,
        }


class RunResults:
    """Results of a run so far, and the file that records them.

    Attributes:
        path: results.json.
        facts: facts about the run itself, such as its command and commit.
        outcomes: outcome of each step.
        began: start of the run, by `time.monotonic`.
    """

    def __init__(self, out: Path, facts: dict[str, Any], steps: list[PlannedStep]) -> None:
        """Mark every step as waiting."""
        self.path, self.facts = out / "results.json", facts
        self.outcomes = [StepOutcome(step) for step in steps]
        self.began = time.monotonic()

    def save(self, finished: bool = False) -> None:
        """Write the file atomically: a full disk costs only the newest rows."""
        content = {
            **self.facts,
            "seconds": round(time.monotonic() - self.began, 1),
            "finished": finished,
            "steps": [outcome.to_dict() for outcome in self.outcomes],
        }
        temporary = self.path.with_suffix(".part")
        try:
            temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
            temporary.replace(self.path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            print(f"{self.path}: {error}; the earlier results are still there", file=sys.stderr)
