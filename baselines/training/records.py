"""Records of a run: metrics.csv, run.json and batches with a loss or gradient that is not finite."""

from __future__ import annotations

import csv
import json
import logging
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from earthreason import __version__
from earthreason.files import write_json, write_text

from ..checkpoints import locate_checkpoint
from .config import TrainConfig
from .data import Passes

logger = logging.getLogger("earthreason.training")
RUN = "run.json"
"""Name of the record of a run."""
_ROOT = Path(__file__).parents[2]
"""In a checkout, its top folder."""


def current_commit() -> str | None:
    """Read the commit of the checkout that this code is in; None outside a checkout, or without git."""
    git = shutil.which("git")
    # Installed, the code may lie in an environment inside a repository of the user's own.
    if git is None or not (_ROOT / ".git").exists():
        return None
    run = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=_ROOT)
    return run.stdout.strip() or None


class Clock:
    """Time of a run, including earlier invocations up to the checkpoint that this one resumes from.

    Attributes:
        commit: commit of the code when this invocation started; others may follow while it runs.
    """

    def __init__(self, accelerator: Accelerator, before: Mapping[str, Any]) -> None:
        """Start the clock.

        Args:
            accelerator: accelerator of this invocation.
            before: `facts` from the checkpoint; empty for a new run.
        """
        self.devices = accelerator.num_processes if accelerator.device.type == "cuda" else 0
        self.before, self.began = before, time.perf_counter()
        self.commit = current_commit()

    @property
    def here(self) -> float:
        """Elapsed seconds of this invocation."""
        return time.perf_counter() - self.began

    def facts(self) -> dict[str, float]:
        """Return seconds and GPU hours of the run so far."""
        here = self.here
        return {
            "seconds": self.before.get("seconds", 0.0) + here,
            "gpu_hours": self.before.get("gpu_hours", 0.0) + here / 3600 * self.devices,
        }


class MetricLog:
    """Writes metrics to a CSV of step, name and value, and to trackers. A resumed run drops later steps."""

    def __init__(self, path: Path, start: int, accelerator: Accelerator) -> None:
        rows = list(csv.reader(path.read_text().splitlines())) if path.is_file() else []
        kept = [row for row in rows if row and row[0].isdigit() and int(row[0]) <= start]
        write_text(path, "step,name,value\n" + "".join(",".join(row) + "\n" for row in kept))
        self.path, self.accelerator = path, accelerator

    def write(self, step: int, values: dict[str, float | None]) -> None:
        """Append one row per value; omit undefined values."""
        defined = {name: value for name, value in values.items() if value is not None}
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(f"{step},{name},{value:.8g}\n" for name, value in defined.items())
        self.accelerator.log(defined, step=step)
        logger.info("step %d: %s", step, ", ".join(f"{name} {value:.4g}" for name, value in defined.items()))


def read_metric(path: Path, name: str) -> dict[int, float]:
    """Read a metric by step from the CSV."""
    with path.open(encoding="utf-8") as file:
        return {int(row["step"]): float(row["value"]) for row in csv.DictReader(file) if row["name"] == name}


def find_record(folder: Path) -> Path | None:
    """Find the record of the run that made the checkpoint in `folder`: there or in the folder above; else None."""
    places = (folder, folder.resolve().parent) if folder.is_dir() else ()
    return next((place / RUN for place in places if (place / RUN).is_file()), None)


def write_card(
    out: Path,
    config: TrainConfig,
    model: nn.Module,
    steps: int,
    clock: Clock,
    accelerator: Accelerator,
    calibration: Mapping[str, Any],
) -> None:
    """Write run.json: configuration, versions and device of the last invocation, and the time of all.

    `calibration` has the no-target threshold, and the numbers of samples and empty targets it was chosen on. The record
    of the run that `config.model.checkpoint` is of, if there is one, becomes `started_from`.
    """
    import transformers

    start = config.model.checkpoint
    before = find_record(Path(locate_checkpoint(start))) if start else None
    cuda, spent = accelerator.device.type == "cuda", clock.facts()
    card: dict[str, Any] = {
        "name": config.name,
        "steps": steps,
        "processes": accelerator.num_processes,
        "seconds": round(spent["seconds"], 1),
        "gpu_hours": round(spent["gpu_hours"], 4),
        "device": torch.cuda.get_device_name(accelerator.device) if cuda else platform.processor() or "cpu",
        "cpus": os.cpu_count(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "trained_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "commit": clock.commit,
        "earthreason": __version__,
        "python": platform.python_version(),
        **({"calibration": dict(calibration)} if calibration else {}),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": np.__version__,
        "config": config.model_dump(mode="json"),
        **({"started_from": json.loads(before.read_text(encoding="utf-8"))} if before else {}),
    }
    write_json(out / RUN, card)


def save_offender(folder: Path, step: int, passes: Passes, rank: int) -> None:
    """Save this process's batches of a step whose loss or gradient is not finite."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(dict(passes), folder / f"step-{step:07d}-rank-{rank}.pt")
