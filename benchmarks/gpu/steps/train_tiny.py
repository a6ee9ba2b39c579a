"""Train `tiny` for the remaining time, on a schedule that ends with it; save the checkpoint in bfloat16."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import torch

from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.training.guard import STOPPED
from benchmarks.gpu.context import PACKED, ROOT, WORDS, Context, read_context
from earthreason import load_dataset
from earthreason.metrics.scores import IOU_AND_PRESENCE

RUN = "tiny"
"""Name of the folders with the run, and of the files that are copied back."""
_RESERVE = 80
"""Seconds reserved for starting, the last validation and the checkpoint."""
_LARGEST = 15 * 2**20
"""Largest file that is brought back, in bytes; machines refuse those over 16 MiB."""
_NAMES = {
    **{f"validation_{name}": name for name in IOU_AND_PRESENCE},
    "validation_no_target_threshold": "threshold",
    "loss": "loss",
}
_TOY = [
    "optim.minutes=0.2",
    "validate_minutes=0.1",
    "model.size=mini",
    "model.tokenizer=learned",
    "optim.global_batch=4",
    "optim.micro_batch=4",
    "model.image_size=128",
    "model.vision=null",
    "workers=1",
    "validation_samples=4",
    "log_every=1",
]
"""Changes to the configuration for a rehearsal."""


def main(context: Context) -> None:
    scenes = context.work / "scenes" / "training"
    load_dataset("earthreason", split="train", data_dir=scenes)  # prepared before the clock starts
    out = context.work / RUN
    done = threading.Event()
    reporter = threading.Thread(target=_report, args=(context, out / "metrics.csv", done))
    reporter.start()
    try:
        if code := _train(context, scenes, out, []):
            if reason := reason_of_stop(out):
                # The numbers failed, not the graphs: without them, training would end alike.
                context.row(error=f"training stopped: {reason}")
                if (out / "best").is_dir():
                    bring(out / "best", context)
                sys.exit(code)
            # Slow training is better than none. The row records the fallback.
            context.row(error=f"training with CUDA graphs stopped (exit code {code}), so it started again without them")
            shutil.rmtree(out, ignore_errors=True)
            if code := _train(context, scenes, out, ["model.replay=false"]):
                sys.exit(code)
    finally:
        done.set()
        reporter.join()
    card = json.loads((out / "run.json").read_text())
    optim, samples = card["config"]["optim"], card["steps"] * card["config"]["optim"]["global_batch"]
    waited = [values["wait_share"] for values in by_step(out / "metrics.csv").values() if "wait_share" in values]
    skipped = [values["skipped"] for values in by_step(out / "metrics.csv").values() if "skipped" in values]
    context.row(
        steps=card["steps"],
        samples=samples,
        seconds=card["seconds"],
        samples_per_s=round(samples / card["seconds"], 1),
        wait_share=round(waited[-1], 4),
        skipped=round(skipped[-1]),
        parameters=card["parameters"],
        batch=optim["global_batch"],
        precision=card["config"]["precision"],
        replay=card["config"]["model"]["replay"],
        calibration=card.get("calibration"),
    )
    for name in ("metrics.csv", "run.json"):
        shutil.copy(out / name, context.out / f"{RUN}-{name}")
    bring(out / "final", context)


def reason_of_stop(out: Path) -> str | None:
    """Return why too many steps of a run were skipped, None if it stopped for another reason."""
    stopped = out / "nan" / STOPPED
    return stopped.read_text(encoding="utf-8").strip() if stopped.is_file() else None


def _train(context: Context, scenes: Path, out: Path, changes: list[str]) -> int:
    return train(context, scenes, out, max(0.05, (context.left - _RESERVE) / 60), changes)


def train(context: Context, scenes: Path, out: Path, minutes: float, changes: list[str]) -> int:
    """Run the training command as users do, with changes to its configuration; return its exit code."""
    changes = [f"data.data_dir={scenes}", f"optim.minutes={minutes:.4f}", *changes]
    if (PACKED / WORDS).is_dir():
        changes.append(f"model.tokenizer={PACKED / WORDS}")
    changes += _TOY if context.toy else []
    config = ROOT / "baselines" / "configs" / "segearth_r1" / "tiny-gpu.yaml"
    command = [sys.executable, "-m", "baselines", "train", "segearth_r1", "--config", str(config), "--out", str(out)]
    return subprocess.run([*command, *changes], cwd=ROOT, check=False).returncode


def bring(final: Path, context: Context) -> None:
    """Write the model in bfloat16 as an archive into the folder that is copied back."""
    predictor = SegEarthR1Predictor.from_pretrained(final)
    halved = context.work / f"{RUN}-bf16"
    predictor.model.to(torch.bfloat16).save_pretrained(halved)
    predictor.processor.save_pretrained(halved)
    archive = Path(shutil.make_archive(str(context.work / RUN), "gztar", halved))
    context.row(checkpoint=archive.name, mib=round(archive.stat().st_size / 2**20, 2))
    copy_in_parts(archive, context.out)


def copy_in_parts(archive: Path, folder: Path, limit: int = _LARGEST) -> list[Path]:
    """Copy a file, as `NAME.1`, `NAME.2` and so on where it is larger than `limit` bytes; `cat NAME.*` joins these."""
    whole = archive.read_bytes()
    parts = [whole[start : start + limit] for start in range(0, len(whole), limit)]
    paths = [folder / (archive.name if len(parts) == 1 else f"{archive.name}.{n}") for n in range(1, len(parts) + 1)]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(part)
    return paths


def _report(context: Context, metrics: Path, done: threading.Event) -> None:
    """Write a row for each validation during the run."""
    written: set[int] = set()
    while not done.wait(2):
        _write_validations(context, metrics, written)
    _write_validations(context, metrics, written)


def _write_validations(context: Context, metrics: Path, written: set[int]) -> None:
    for step, values in by_step(metrics).items():
        if "validation_gIoU" in values and step not in written:
            written.add(step)
            scores: dict[str, Any] = {short: values[name] for name, short in _NAMES.items() if name in values}
            context.row(minute=round(values.get("minutes", 0.0), 2), step=step, **scores)


def by_step(metrics: Path) -> dict[int, dict[str, float]]:
    """Read the values by step and name, without a line that is still being written."""
    if not metrics.is_file():
        return {}
    by_step: dict[int, dict[str, float]] = {}
    whole = metrics.read_text().rpartition("\n")[0]
    for row in csv.DictReader(whole.splitlines()):
        if row["value"]:
            by_step.setdefault(int(row["step"]), {})[row["name"]] = float(row["value"])
    return by_step


if __name__ == "__main__":
    main(read_context())
