"""The training loop of all models, on accelerate."""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.optim.swa_utils import AveragedModel
from transformers import PreTrainedModel

from baselines.training.checkpoints import load_latest, refuse_other, save_state
from baselines.training.config import TrainConfig
from baselines.training.data import Passes, StepDataset, check_texts, order_of
from baselines.training.learner import Learner, build_learner
from baselines.training.optimizer import add_adapters, average_of, make_optimizer, without_adapters
from baselines.training.order import pass_seed
from baselines.training.records import Clock, MetricLog, read_metric, save_offender, write_card
from baselines.training.sharding import exchange_gradients, shard_model
from baselines.training.state import gather_state, gather_weights, restore_state
from baselines.training.validation import Validation
from earthreason.data.load import load_dataset
from earthreason.errors import EarthReasonError
from earthreason.files import write_json

logger = logging.getLogger("earthreason.training")


def train(config: TrainConfig, out: Path) -> Path:
    """Train, or go on with, the run in `out`; returns the folder of the final model.

    The same seed gives the same weights, up to rounding also on another number of processes; a run that was killed and
    started again ends with the same weights as one that was not.

    Raises:
        EarthReasonError: data or weights are missing, a text is too long, `out` holds another run, or loss or gradient
            is not a number.
    """
    check_folder(config, out)
    accelerator = start_accelerator(config, out)
    torch.manual_seed(config.seed)
    rows = load_dataset("earthreason", config.data.config, split=config.data.train, data_dir=config.data.data_dir)
    order = order_of(rows, config)
    learner = build_learner(config, lambda: [text for key in ("questions", "answers") for t in rows[key] for text in t])
    check_texts(rows, config, learner.collate)
    data = StepDataset(rows, learner, config, order, accelerator.process_index, accelerator.num_processes)
    steps = config.optim.steps or config.optim.epochs * order.steps_per_epoch
    run = Run(config, out, learner, accelerator, steps)
    start = run.resume()
    waited = 0.0
    batches = data.iterate(start, steps)
    while True:
        asked = time.perf_counter()
        step, passes = next(batches, (steps, []))
        waited += time.perf_counter() - asked
        if step == steps:
            break
        losses = run.step(step, passes)
        run.after(step + 1, {**losses, "rate": run.rate, "wait_share": waited / run.clock.here})
    return run.finish()


def identity_of(config: TrainConfig) -> dict[str, Any]:
    """The settings that a run keeps from its first to its last step, as JSON values."""
    return config.model_dump(mode="json", include={"seed", "model", "data", "optim"})


def check_folder(config: TrainConfig, out: Path) -> None:
    """Refuse a folder that holds another run, also one that has left no checkpoint.

    Raises:
        EarthReasonError: it does; names the settings that differ.
    """
    path = out / "config.json"
    if path.is_file():
        try:
            before = json.loads(path.read_text())
        except ValueError:
            raise EarthReasonError(f"{path} is no JSON; use another --out") from None
        refuse_other(path, before, identity_of(config))


def start_accelerator(config: TrainConfig, out: Path) -> Accelerator:
    """An accelerator with the configured precision and trackers; kind and number of devices are the launcher's.

    Raises:
        EarthReasonError: a tracker's package is not installed.
    """
    for tracker in config.trackers:
        if find_spec(tracker) is None:
            raise EarthReasonError(f"trackers: {tracker} is not installed; pip install {tracker}, or leave it out")
    AcceleratorState._reset_state()  # accelerate keeps the precision of an earlier run and refuses another
    kwargs = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(
        mixed_precision=config.precision, cpu=not torch.cuda.is_available(), kwargs_handlers=[kwargs],
        log_with=list(config.trackers) or None, project_dir=str(out),
    )  # fmt: skip
    if config.trackers:
        flat = {"name": config.name, "seed": config.seed, **config.optim.model_dump(exclude={"betas"})}
        accelerator.init_trackers(config.name, {key: value for key, value in flat.items() if value is not None})
    return accelerator


class Run:
    """The state of a run and what happens to it after every step."""

    def __init__(self, config: TrainConfig, out: Path, learner: Learner, accelerator: Accelerator, steps: int) -> None:
        self.config, self.out, self.learner, self.accelerator, self.steps = config, out, learner, accelerator, steps
        self.model: PreTrainedModel = learner.model.train()
        if config.model.lora is not None:
            add_adapters(self.model, config.model.lora, learner.processor.token_ids)
        self.plain = self._shard()
        self.average: AveragedModel | None = average_of(self.model, config.optim.ema) if config.optim.ema else None
        self.optimizer, self.schedule = make_optimizer(self.model, config.optim, steps)
        self.prepared, self.wrapped = self._prepare()
        self.validation = Validation(config) if config.validate_every or config.pictures_every else None
        self.log: MetricLog | None = None
        self.best = -1.0

    def _shard(self) -> PreTrainedModel | None:
        """Shard the model, if asked to; returns a whole one that can hold its weights, for looking and saving."""
        if self.config.shard == "none" or self.accelerator.num_processes == 1:
            return None
        if self.config.optim.ema:
            raise EarthReasonError("optim.ema needs whole weights in every process; set shard=none or optim.ema=0")
        plain = copy.deepcopy(self.model) if self.accelerator.is_main_process else None
        self.model.to(self.accelerator.device)
        shard_model(self.model, self.config.shard, self.accelerator.device, self.accelerator.num_processes)
        return plain

    @property
    def sharded(self) -> bool:
        """Whether this process holds only a part of the weights."""
        return isinstance(self.model, FSDPModule)

    def _prepare(self) -> tuple[Any, Any]:
        if self.average is not None:
            self.average.to(self.accelerator.device)
        if self.sharded:
            model, optimizer = self.model, self.accelerator.prepare(self.optimizer)
        else:
            model, optimizer = self.accelerator.prepare(self.model, self.optimizer)
        return optimizer, torch.compile(model, dynamic=True) if self.config.model.compile else model

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        return float(self.schedule.get_last_lr()[0])

    def resume(self) -> int:
        """Load the newest checkpoint, if there is one; returns the step to go on with.

        Raises:
            EarthReasonError: `out` holds a run with other settings.
        """
        self.identity = identity_of(self.config)
        found = load_latest(self.out / "checkpoints", self.identity)
        start, before = 0, dict[str, Any]()
        if found is not None:
            state, before = found
            start = int(before["step"])
            restore_state(state, self.model, self.prepared, self.schedule, self.average)
        self.clock = Clock(self.accelerator, before)
        if self.accelerator.is_main_process:
            write_json(self.out / "config.json", self.config.model_dump(mode="json"))
            self.log = MetricLog(self.out / "metrics.csv", start, self.accelerator)
            self.best = max(read_metric(self.log.path, "validation_gIoU").values(), default=-1.0)
        return start

    def step(self, step: int, passes: Passes) -> dict[str, float]:
        """One optimizer step over all passes of this process; the mean losses over all processes.

        Raises:
            EarthReasonError: loss or gradient is not a number; the batch is kept and the weights are those of before.
        """
        sums: dict[str, Tensor] = {}
        for place, (number, batch) in enumerate(passes):
            torch.manual_seed(pass_seed(self.config.seed, step, number))
            # Gradients are exchanged once a step, with the last pass.
            last = place == len(passes) - 1
            if self.sharded:
                exchange_gradients(self.model, last)
            with nullcontext() if last or self.sharded else self.accelerator.no_sync(self.wrapped):
                with self.accelerator.autocast():
                    output = self.wrapped(
                        **{name: value.to(self.accelerator.device, non_blocking=True) for name, value in batch.items()}
                    )
                self.accelerator.backward(output.loss / len(passes))
            for name, value in {"loss": output.loss, **output.losses}.items():
                share = value.detach().float() / len(passes)
                sums[name] = sums[name] + share if name in sums else share
        losses = {name: float(self.accelerator.reduce(value, reduction="mean")) for name, value in sums.items()}
        self._refuse_nan(step, passes, losses["loss"], self._clip())
        self.prepared.step()
        self.prepared.zero_grad()
        self.schedule.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        return losses

    def _clip(self) -> float:
        """Clip the gradient, if asked to; returns its norm before, over all processes."""
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.optim.clip or math.inf)
        return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)

    def _refuse_nan(self, step: int, passes: Passes, loss: float, norm: float) -> None:
        # With fp16 the scaler itself leaves out steps whose scaled gradient is too large, and scales less.
        values = {"loss": loss} if self.accelerator.scaler else {"loss": loss, "gradient": norm}
        for what, value in values.items():
            if not math.isfinite(value):
                folder = save_offender(self.out, step, passes, self.accelerator.process_index)
                raise EarthReasonError(
                    f"the {what} of step {step} is {value}; its batch is kept in {folder}. Lower "
                    "optim.learning_rate, set optim.clip=1, or continue from the checkpoint with precision=no"
                )

    def after(self, done: int, metrics: dict[str, float]) -> None:
        """Log, draw, validate, then save, what is due after so many steps; a resumed run has all of it."""

        def due(every: int) -> bool:
            return bool(every) and (done % every == 0 or done == self.steps)

        if self.log is not None and due(self.config.log_every):
            self.log.write(done, dict(metrics))
        if due(self.config.pictures_every) or due(self.config.validate_every):
            self._look(done, due(self.config.pictures_every), due(self.config.validate_every))
        if due(self.config.save_every):
            state = gather_state(self.model, self.prepared, self.schedule, self.average)
            if self.accelerator.is_main_process:
                facts = {"identity": self.identity, **self.clock.facts()}
                save_state(self.out / "checkpoints", done, state, facts, self.config.keep)

    def _look(self, done: int, pictures: bool, scores: bool) -> None:
        with self._kept() as kept:
            if kept is None or self.log is None or self.validation is None:
                return
            with torch.random.fork_rng():
                predictor = self.learner.predictor(kept)
                if pictures:
                    path = self.out / "pictures" / f"step-{done:07d}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self.validation.draw(predictor, path, f"{self.config.name}, step {done}")
                if scores:
                    found = self.validation.score(predictor)
                    self.log.write(done, {f"validation_{name}": value for name, value in found.items()})
                    if (found["gIoU"] or 0.0) > self.best:
                        self.best = found["gIoU"] or 0.0
                        self.learner.save(kept, self.out / "best")
        self.model.train()

    @contextmanager
    def _kept(self) -> Iterator[PreTrainedModel | None]:
        """The weights that are validated and saved: averaged if asked for, whole, adapters merged; None elsewhere.

        All processes enter it, the first one gets them; of a sharded model they leave the device again.
        """
        if not self.sharded:
            averaged = self.model if self.average is None else cast(PreTrainedModel, self.average.module)
            yield without_adapters(averaged) if self.accelerator.is_main_process else None
            return
        weights = gather_weights(self.model)
        if self.plain is None:
            yield None
            return
        self.plain.load_state_dict(weights)
        try:
            yield without_adapters(self.plain.to(self.accelerator.device))
        finally:
            self.plain.cpu()

    def finish(self) -> Path:
        """Write the final model and the card of the run; returns the model's folder."""
        with self._kept() as kept:
            if kept is not None:
                self.learner.save(kept, self.out / "final")
                write_card(self.out, self.config, self.model, self.steps, self.clock, self.accelerator)
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()
        return self.out / "final"
