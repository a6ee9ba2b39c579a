"""What a run leaves behind: metrics, the card that tells how it was made, the batch that broke it."""

from __future__ import annotations

import csv
import logging
import os
import platform
import subprocess
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from baselines.training.config import TrainConfig
from baselines.training.data import Passes
from earthreason import __version__
from earthreason.files import write_json, write_text

logger = logging.getLogger("earthreason.training")


class MetricLog:
    """Metrics as a CSV of step, name, value, and to trackers; a resumed run drops what lies after its start."""

    def __init__(self, path: Path, start: int, accelerator: Accelerator) -> None:
        rows = list(csv.reader(path.read_text().splitlines())) if path.is_file() else []
        kept = [row for row in rows if row and row[0].isdigit() and int(row[0]) <= start]
        write_text(path, "step,name,value\n" + "".join(",".join(row) + "\n" for row in kept))
        self.path, self.accelerator = path, accelerator

    def write(self, step: int, values: dict[str, float | None]) -> None:
        """Append a row a value; undefined ones are left out."""
        defined = {name: value for name, value in values.items() if value is not None}
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(f"{step},{name},{value:.8g}\n" for name, value in defined.items())
        self.accelerator.log(defined, step=step)
        logger.info("step %d: %s", step, ", ".join(f"{name} {value:.4g}" for name, value in defined.items()))


def read_metric(path: Path, name: str) -> dict[int, float]:
    """A metric of the CSV by step."""
    with path.open(encoding="utf-8") as file:
        return {int(row["step"]): float(row["value"]) for row in csv.DictReader(file) if row["name"] == name}


def write_card(
    out: Path, config: TrainConfig, model: nn.Module, steps: int, seconds: float, accelerator: Accelerator
) -> None:
    """Write what was run, on what, and how long, as run.json."""
    import transformers

    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    ).stdout.strip()
    cuda = accelerator.device.type == "cuda"
    write_json(out / "run.json", {
        "name": config.name, "steps": steps, "seconds": round(seconds, 1), "processes": accelerator.num_processes,
        "device": torch.cuda.get_device_name(accelerator.device) if cuda else platform.processor() or "cpu",
        "cpus": os.cpu_count(), "gpu_hours": round(seconds / 3600 * accelerator.num_processes, 4) if cuda else 0.0,
        "parameters": sum(p.numel() for p in model.parameters()),
        "trained_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "commit": commit or None, "earthreason": __version__, "python": platform.python_version(),
        "torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__,
        "config": config.model_dump(mode="json"),
    })  # fmt: skip


def save_offender(out: Path, step: int, passes: Passes, rank: int) -> Path:
    """Keep this process's batches of a step whose loss or gradient was no number; returns the folder."""
    folder = out / "nan"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(dict(passes), folder / f"step-{step:07d}-rank-{rank}.pt")
    return folder
