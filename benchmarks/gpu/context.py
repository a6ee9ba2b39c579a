"""Context that a run passes to its steps, and the files of their rows. Standard library only."""

from __future__ import annotations

import argparse
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKED = Path(__file__).resolve().parent / "packed"
"""Folder that `pack` fills; git ignores it."""
WORDS = "words"
"""Folder in `PACKED` with the words from which `tiny` starts."""
DESCRIBE = ("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
"""Git command for the commit of a result; `-dirty` means that files differ from it."""


@dataclass(frozen=True)
class Context:
    """Context of a step.

    Attributes:
        name: name of the step.
        device: `cuda` or `cpu`.
        toy: whether to run at toy size, as in a rehearsal.
        seconds: time limit of the step.
        out: folder for files that are copied back.
        work: folder for files that are not.
        began: start of the step, by `time.monotonic`.
    """

    name: str
    device: str
    toy: bool
    seconds: float
    out: Path
    work: Path
    began: float

    @property
    def left(self) -> float:
        """Seconds that are left for the step."""
        return self.seconds - (time.monotonic() - self.began)

    def row(self, **values: Any) -> None:
        """Write a measurement immediately, because the step may be killed before its end."""
        with rows_of(self.work, self.name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(values, default=float) + "\n")
            file.flush()


def rows_of(work: Path, name: str) -> Path:
    """Return the file with the rows of a step, one JSON object per line."""
    return work / f"{name}.rows.jsonl"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a step, without lines that are unfinished or were truncated by a full disk."""
    rows = []
    for line in path.read_text(encoding="utf-8").split("\n")[:-1] if path.is_file() else []:
        with suppress(ValueError):
            rows.append(json.loads(line))
    return rows


def read_context() -> Context:
    """Read the context from the command line that `run` wrote."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--device", choices=["cuda", "cpu"], required=True)
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    a = parser.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    return Context(a.name, a.device, a.toy, a.seconds, a.out, a.work, time.monotonic())
