"""The training loop of SegEarth-R1, on accelerate."""

from __future__ import annotations

import csv
import json
import logging
import math
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from baselines.common.prefetch import prefetch
from baselines.segearth_r1.modeling import SegEarthR1Model
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.segearth_r1.processing import SegEarthR1Processor
from baselines.segearth_r1.tiny import make_tiny
from baselines.training.checkpoints import load_latest, save_state
from baselines.training.config import TrainConfig
from baselines.training.order import Order, micro_batches, pass_seed
from earthreason.data.load import load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.data.truth import references_of
from earthreason.errors import EarthReasonError
from earthreason.files import write_json, write_text
from earthreason.metrics.evaluate import evaluate
from earthreason.predictions.predict import predict_samples
from earthreason.torch import PixelReasoningDataset

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger("earthreason.training")
Batch = dict[str, Tensor]


def train(config: TrainConfig, out: Path) -> Path:
    """Train, or go on with, the run in `out`; returns the folder of the final model.

    The same seed gives the same weights, up to rounding also on another number of processes; a run that was killed and
    started again ends with the same weights as one that was not.

    Raises:
        EarthReasonError: data or weights are missing, `out` holds another run, or the loss is not a number.
    """
    kwargs = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(
        mixed_precision=config.precision, cpu=not torch.cuda.is_available(), kwargs_handlers=[kwargs]
    )
    torch.manual_seed(config.seed)
    model, processor = build_model(config)
    rows = load_dataset("earthreason", config.data.config, split=config.data.train, data_dir=config.data.data_dir)
    order = Order(len(rows), config.optim.global_batch, config.seed)
    if not order.steps_per_epoch:
        raise EarthReasonError(f"{len(rows)} training samples do not fill a batch of {config.optim.global_batch}")
    steps = config.optim.steps or config.optim.epochs * order.steps_per_epoch
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=config.optim.learning_rate, betas=config.optim.betas,
        weight_decay=config.optim.weight_decay,
    )  # fmt: skip
    scheduler = LambdaLR(optimizer, lambda step: rate_at(step, steps, config.optim.warmup_share))
    identity = {key: value for key, value in config.model_dump().items() if key in ("seed", "model", "data", "optim")}
    start = _restore(out, identity, model, optimizer, scheduler)
    if accelerator.is_main_process:
        write_json(out / "config.json", config.model_dump())
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    log = MetricLog(out / "metrics.csv", start) if accelerator.is_main_process else None
    best, began = -1.0, time.perf_counter()
    data = Batches(rows, processor, config, order, accelerator.process_index, accelerator.num_processes)
    for step, passes in data.iterate(start, steps):
        losses = _step(accelerator, wrapped, optimizer, passes, config, step)
        if not math.isfinite(losses["loss"]):
            _save_offender(out, step, passes)
            raise EarthReasonError(f"the loss of step {step} is {losses['loss']}; its batch is kept in {out / 'nan'}")
        scheduler.step()
        done = step + 1
        if log is not None and (done % config.log_every == 0 or done == steps):
            log.write(done, {**losses, "rate": float(scheduler.get_last_lr()[0])})
        if accelerator.is_main_process and config.save_every and (done % config.save_every == 0 or done == steps):
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "rate": scheduler.state_dict()}
            save_state(out / "checkpoints", done, state, {"identity": identity}, config.keep)
        if config.validate_every and (done % config.validate_every == 0 or done == steps) and log is not None:
            scores = validate(model, processor, config)
            log.write(done, {f"validation_{name}": value for name, value in scores.items()})
            if (scores["gIoU"] or 0.0) > best:
                best = scores["gIoU"] or 0.0
                save_model(model, processor, out / "best")
    if accelerator.is_main_process:
        save_model(model, processor, out / "final")
        write_card(out, config, model, steps - start, time.perf_counter() - began, accelerator)
    accelerator.wait_for_everyone()
    return out / "final"


def build_model(config: TrainConfig) -> tuple[SegEarthR1Model, SegEarthR1Processor]:
    """The model to train and its processor.

    Raises:
        EarthReasonError: the checkpoint cannot be loaded.
    """
    if config.model.checkpoint is None:
        model, processor = make_tiny(config.seed, size=config.model.size)
    else:
        loaded = SegEarthR1Predictor.from_pretrained(config.model.checkpoint)
        model, processor = loaded.model, loaded.processor
    if config.model.freeze_vision:
        model.vision_tower.requires_grad_(False)
    if config.model.gradient_checkpointing:
        model.language_model.gradient_checkpointing_enable()
    return model.train(), processor


def rate_at(step: int, steps: int, warmup_share: float) -> float:
    """Share of the learning rate at a step: linear warm-up, then a cosine to 0."""
    warmup = math.ceil(warmup_share * steps)
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


class Batches:
    """Micro-batches of every step, prepared ahead of their use."""

    def __init__(
        self, rows: Dataset, processor: SegEarthR1Processor, config: TrainConfig, order: Order, rank: int, ranks: int
    ) -> None:
        self.items = PixelReasoningDataset(rows, processor.image_size, config.data.question, config.seed)
        self.processor, self.config, self.order, self.rank, self.ranks = processor, config, order, rank, ranks

    def iterate(self, start: int, steps: int) -> Iterator[tuple[int, list[tuple[int, Batch]]]]:
        """Step and this process's passes, numbered, from `start` on."""
        yield from zip(range(start, steps), prefetch(self._prepare, range(start, steps)), strict=True)

    def _prepare(self, step: int) -> list[tuple[int, Batch]]:
        self.items.set_epoch(self.order.epoch_of(step))
        size = self.config.optim.micro_batch
        try:
            passes = micro_batches(self.order.rows(step), size, self.rank, self.ranks)
        except ValueError as error:
            raise EarthReasonError(str(error)) from None
        return [(number, self._collate([self.items[int(row)] for row in rows])) for number, rows in passes]

    def _collate(self, items: Sequence[Any]) -> Batch:
        task = self.config.data.task
        prompts = [self.processor.prompt(item["question"], task, item["answer"], reply=True) for item in items]
        return {
            "pixel_values": torch.stack([item["image"] for item in items]),
            "masks": torch.stack([item["mask"] for item in items]),
            **self.processor.pad(prompts),
        }


def _step(
    accelerator: Accelerator,
    model: Any,
    optimizer: Any,
    passes: list[tuple[int, Batch]],
    config: TrainConfig,
    step: int,
) -> dict[str, float]:
    """One optimizer step over all passes of this process; returns the mean losses over all processes."""
    sums: dict[str, Tensor] = {}
    for place, (number, batch) in enumerate(passes):
        torch.manual_seed(pass_seed(config.seed, step, number))
        # Gradients are exchanged once a step, with the last pass.
        with nullcontext() if place == len(passes) - 1 else accelerator.no_sync(model):
            with accelerator.autocast():
                output = model(**{name: value.to(accelerator.device) for name, value in batch.items()})
            accelerator.backward(output.loss / len(passes))
        for name, value in {"loss": output.loss, **output.losses}.items():
            share = value.detach().float() / len(passes)
            sums[name] = sums[name] + share if name in sums else share
    if config.optim.clip:
        accelerator.clip_grad_norm_(model.parameters(), config.optim.clip)
    optimizer.step()
    optimizer.zero_grad()
    return {name: float(accelerator.reduce(value, reduction="mean")) for name, value in sums.items()}


def _restore(
    out: Path, identity: dict[str, Any], model: SegEarthR1Model, optimizer: torch.optim.Optimizer, scheduler: LambdaLR
) -> int:
    found = load_latest(out / "checkpoints", json.loads(json.dumps(identity)))
    if found is None:
        return 0
    state, step = found
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    scheduler.load_state_dict(state["rate"])
    return step


@torch.no_grad()
def validate(model: SegEarthR1Model, processor: SegEarthR1Processor, config: TrainConfig) -> dict[str, float | None]:
    """gIoU, cIoU, N-acc and T-acc of the official protocol on some validation samples."""
    split = config.data.validation
    if "[" not in split:
        split = f"{split}[:{config.validation_samples}]"
    rows = load_dataset("earthreason", config.data.config, split=split, data_dir=config.data.data_dir)
    predictor = SegEarthR1Predictor(model, processor, config.optim.micro_batch, config.data.task)
    try:
        predictions = list(predict_samples(predictor, map(sample_of_row, rows), "first", config.optim.micro_batch))
    finally:
        model.train()
    result = evaluate(predictions, references_of(rows, split), resamples=0)
    return {name: result[name] for name in ("gIoU", "cIoU", "N-acc", "T-acc")}


def save_model(model: SegEarthR1Model, processor: SegEarthR1Processor, folder: Path) -> None:
    """Write a checkpoint that the predictor loads, over an earlier one."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _save_offender(out: Path, step: int, passes: list[tuple[int, Batch]]) -> None:
    (out / "nan").mkdir(parents=True, exist_ok=True)
    torch.save(dict(passes), out / "nan" / f"step-{step:07d}.pt")


class MetricLog:
    """Metrics as a CSV of step, name, value; a resumed run drops what lies after its start."""

    def __init__(self, path: Path, start: int) -> None:
        rows = list(csv.reader(path.read_text().splitlines())) if path.is_file() else []
        kept = [row for row in rows if row and row[0].isdigit() and int(row[0]) <= start]
        write_text(path, "step,name,value\n" + "".join(",".join(row) + "\n" for row in kept))
        self.path = path

    def write(self, step: int, values: dict[str, float | None]) -> None:
        """Append a row a value; undefined ones are left out."""
        with self.path.open("a", encoding="utf-8") as file:
            for name, value in values.items():
                if value is not None:
                    file.write(f"{step},{name},{value:.8g}\n")
        logger.info("step %d: %s", step, ", ".join(f"{k} {v:.4g}" for k, v in values.items() if v is not None))


def write_card(
    out: Path, config: TrainConfig, model: SegEarthR1Model, steps: int, seconds: float, accelerator: Accelerator
) -> None:
    """Write what was run, on what, and how long, as run.json."""
    import subprocess

    import transformers

    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    write_json(out / "run.json", {
        "name": config.name, "steps": steps, "seconds": round(seconds, 1), "processes": accelerator.num_processes,
        "device": str(accelerator.device), "gpu_hours": round(seconds / 3600 * accelerator.num_processes, 4)
        if accelerator.device.type == "cuda" else 0.0,
        "parameters": sum(p.numel() for p in model.parameters()), "trained_parameters": trained,
        "commit": commit or None, "python": platform.python_version(), "torch": torch.__version__,
        "transformers": transformers.__version__, "numpy": np.__version__, "config": config.model_dump(),
    })  # fmt: skip
