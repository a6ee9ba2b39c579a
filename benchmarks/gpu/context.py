"""What a step is told, and where it leaves its rows. Standard library only: it has to work on a bare machine."""

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
"""Filled by `pack`; ignored by git."""
DESCRIBE = ("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
"""How git names the commit of a result; `-dirty` says that files differ from it."""


@dataclass(frozen=True)
class Context:
    """The surroundings of a step.

    Attributes:
        name: of the step.
        device: `cuda` or `cpu`.
        toy: everything small: a rehearsal.
        seconds: that it has.
        out: folder of what comes back.
        work: folder of what does not.
        began: when it was made, of `time.monotonic`.
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
        """Seconds that are left."""
        return self.seconds - (time.monotonic() - self.began)

    def row(self, **values: Any) -> None:
        """Keep a measurement, at once: what follows may be killed."""
        with rows_of(self.work, self.name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(values, default=float) + "\n")
            file.flush()


def rows_of(work: Path, name: str) -> Path:
    """The file with the rows of a step, one JSON object a line."""
    return work / f"{name}.rows.jsonl"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a step; a line that is not finished, or was cut by a full disk, is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").split("\n")[:-1] if path.is_file() else []:
        with suppress(ValueError):
            rows.append(json.loads(line))
    return rows


def read_context() -> Context:
    """The context that `run` gave on the command line."""
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
