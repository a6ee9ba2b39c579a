"""Training loop of all models, built on accelerate."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim.swa_utils import AveragedModel
from transformers import PreTrainedModel

from earthreason.data.load import load_dataset
from earthreason.errors import EarthReasonError
from earthreason.files import write_json

from ..common.devices import keep_freed_memory
from ..common.predictor import NO_TARGET_THRESHOLD, MaskPredictor
from ..common.resolution import describe_range
from .checkpoints import check_folder, identity_of, load_latest, save_state
from .config import TrainConfig
from .data import Passes, StepDataset, check_texts, order_of, resolution_of, texts_of
from .guard import Guard
from .learner import Batch, Learner, build_learner
from .optimizer import add_adapters, average_of, make_optimizer, without_adapters
from .order import pass_seed
from .pace import Pace
from .records import Clock, MetricLog, read_metric, write_card
from .replay import Replay
from .sharding import exchange_gradients, shard_model
from .state import gather_state, gather_weights, restore_state
from .validation import Look, ModelValidation

logger = logging.getLogger("earthreason.training")
SOUND_ATTENTION = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)
"""Attention kernels to train with: all but cuDNN's.

With a mask, the backward pass of cuDNN's is NaN on Hopper for finite input if all scores of a row are below about -88
and the length is not a multiple of 128 (github.com/pytorch/pytorch/issues/196678), or if there is one query, as in the
mask decoder (github.com/NVIDIA/cudnn-frontend/issues/1072).
"""
TEXT_KEYS = frozenset({"input_ids", "attention_mask", "question_mask", "labels", "learned"})
"""Tensors of a batch whose second axis depends on the length of its texts."""


def train(config: TrainConfig, out: Path) -> Path:
    """Start or resume the run in `out`; return the folder of the final model.

    The same seed gives the same weights, up to rounding also on another number of processes and after a restart.

    Raises:
        EarthReasonError: data or weights are missing, a text is too long, `out` holds another run, or loss or gradient
            of too many steps is not finite.
    """
    run, data = open_run(config, out)
    step, waited = run.resume(), 0.0
    batches = data.iterate(step, run.pace.steps)
    while not run.pace.over(step):
        asked = time.perf_counter()
        passes = next(batches)
        waited += time.perf_counter() - asked
        losses = run.step(step, passes)
        step += 1
        extra = {"rate": run.rate, "wait_share": waited / run.clock.here, "skipped": run.guard.skipped}
        run.after(step, {**losses, **extra})
    del batches  # ends its threads or processes, which frees the cores for the last validation
    return run.finish(step)


def open_run(config: TrainConfig, out: Path) -> tuple[TrainingRun, StepDataset]:
    """Load data and model of a run; return it before its first step or `resume`, and its batches.

    Raises:
        EarthReasonError: as for `train`.
    """
    check_folder(config, out)
    accelerator = start_accelerator(config, out)
    torch.manual_seed(config.seed)
    rows = load_dataset("earthreason", config.data.config, split=config.data.train, data_dir=config.data.data_dir)
    order = order_of(rows, config)
    learner = build_learner(config, lambda: texts_of(rows))
    seen = learner.model.config.ground_resolution = resolution_of(rows, learner.image_size)
    if accelerator.is_main_process:
        shown = "unknown, as the data do not state it" if seen is None else describe_range(seen)
        logger.info("ground resolution of the training data, on the canvas: %s", shown)
    check_texts(rows, config, learner.collate)
    data = StepDataset(rows, learner, config, order, accelerator.process_index, accelerator.num_processes)
    return TrainingRun(config, out, learner, accelerator, Pace.of(config.optim, order.steps_per_epoch)), data


def start_accelerator(config: TrainConfig, out: Path) -> Accelerator:
    """Make an accelerator with the configured precision and trackers; the launcher sets the devices.

    Raises:
        EarthReasonError: a tracker's package is not installed.
    """
    for tracker in config.trackers:
        if find_spec(tracker) is None:
            raise EarthReasonError(f"trackers: {tracker} is not installed; pip install {tracker}, or leave it out")
    if not torch.cuda.is_available():
        keep_freed_memory()
    AcceleratorState._reset_state()  # accelerate would refuse a precision other than that of an earlier run
    kwargs = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(
        mixed_precision=config.precision,
        cpu=not torch.cuda.is_available(),
        kwargs_handlers=[kwargs],
        log_with=list(config.trackers) or None,
        project_dir=str(out),
    )
    if config.trackers:
        flat = {"name": config.name, "seed": config.seed, **config.optim.model_dump(exclude={"betas", "loss_weights"})}
        accelerator.init_trackers(config.name, {key: value for key, value in flat.items() if value is not None})
    return accelerator


class TrainingRun:
    """State of a run: model, optimizer, validation and logs."""

    def __init__(self, config: TrainConfig, out: Path, learner: Learner, accelerator: Accelerator, pace: Pace) -> None:
        self.config, self.out, self.learner, self.accelerator, self.pace = config, out, learner, accelerator, pace
        self.model: PreTrainedModel = learner.model.train()
        if config.model.lora is not None:
            add_adapters(self.model, config.model.lora, learner.processor.added_ids)
        self.plain = self._shard()
        self.average: AveragedModel | None = average_of(self.model, config.optim.ema) if config.optim.ema else None
        self.optimizer, self.schedule = make_optimizer(self.model, config.optim, pace.rate)
        self.prepared, self.wrapped = self._prepare()
        self.replay = self._replay() if config.model.replay else None
        looks = config.validate_every or config.validate_minutes or config.pictures_every
        self.validation = ModelValidation(config) if looks else None
        self.validated_at = 0.0
        self.calibrated: tuple[int, float | None] = (-1, None)  # last validated step, and the threshold chosen there
        # With fp16, the scaler itself skips steps whose scaled gradient overflows and lowers the scale.
        watched = ("loss",) if accelerator.scaler else ("loss", "gradient")
        self.guard = Guard(out, accelerator.process_index, watched, config.optim.max_skipped)
        self.log: MetricLog | None = None
        self.best = -1.0

    def _shard(self) -> PreTrainedModel | None:
        """Shard the model if configured; return an unsharded copy, which `_kept` fills with the weights."""
        if self.config.shard == "none" or self.accelerator.num_processes == 1:
            return None
        if self.config.optim.ema:
            raise EarthReasonError("optim.ema needs all weights in every process; set shard=none or optim.ema=0")
        plain = copy.deepcopy(self.model) if self.accelerator.is_main_process else None
        self.model.to(self.accelerator.device)
        shard_model(self.model, self.config.shard, self.accelerator.device, self.accelerator.num_processes)
        return plain

    @property
    def sharded(self) -> bool:
        """Whether this process holds only a shard of the weights."""
        return isinstance(self.model, FSDPModule)

    def _prepare(self) -> tuple[Any, Any]:
        if self.average is not None:
            self.average.to(self.accelerator.device)
        if self.sharded:
            model, optimizer = self.model, self.accelerator.prepare(self.optimizer)
        else:
            model, optimizer = self.accelerator.prepare(self.model, self.optimizer)
        return optimizer, torch.compile(model) if self.config.model.compile else model

    def _replay(self) -> Replay | None:
        """Set up replayed passes if there is a GPU.

        Raises:
            EarthReasonError: there are several processes.
        """
        if self.accelerator.num_processes > 1:
            raise EarthReasonError("model.replay needs a single process; leave it out, or start one process")
        if self.accelerator.device.type != "cuda":
            logger.warning("model.replay is ignored: there is no GPU")
            return None
        return Replay(self.model, self._pass, self.accelerator.device)

    def _pass(self, batch: Batch, share: float = 1.0) -> dict[str, Tensor]:
        """Run forward and backward pass of a batch that is `share` of its step; return `loss` and its parts by name."""
        with sdpa_kernel(list(SOUND_ATTENTION)):
            with self.accelerator.autocast():
                output = self.wrapped(**batch)
            self.accelerator.backward(output.loss * share)
        return {name: value.detach().float() for name, value in {"loss": output.loss, **output.losses}.items()}

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        return float(self.schedule.get_last_lr()[0])

    def resume(self) -> int:
        """Load the newest checkpoint, if any; return the next step.

        Raises:
            EarthReasonError: the checkpoint is damaged, or of a run with other settings.
        """
        self.identity = identity_of(self.config)
        checkpoint = load_latest(self.out / "checkpoints", self.identity)
        start, before = 0, dict[str, Any]()
        if checkpoint is not None:
            state, before = checkpoint
            start = int(before["step"])
            self.guard.skipped = int(before.get("skipped", 0))
            restore_state(state, self.model, self.prepared, self.schedule, self.average)
        self.clock = Clock(self.accelerator, before)
        self.pace.tick(self.clock, self.accelerator)
        if self.accelerator.is_main_process:
            write_json(self.out / "config.json", self.config.model_dump(mode="json"))
            self.log = MetricLog(self.out / "metrics.csv", start, self.accelerator)
            self.best = max(read_metric(self.log.path, "validation_gIoU").values(), default=-1.0)
        return start

    def step(self, step: int, passes: Passes) -> dict[str, Tensor]:
        """Take one optimizer step; return losses averaged over all processes, and the gradient norm.

        The values are scalars on the device; nothing here waits for it.

        Raises:
            EarthReasonError: too many steps were skipped up to the one before (without `optim.fused`, up to this one),
                as their loss or gradient was not finite; such steps change neither weights nor moments.
        """
        sums: dict[str, Tensor] = {}
        for place, (number, batch) in enumerate(passes):
            torch.manual_seed(pass_seed(self.config.seed, step, number))
            # Exchange gradients once per step, with the last pass.
            last = place == len(passes) - 1
            if self.sharded:
                exchange_gradients(self.model, last)
            with nullcontext() if last or self.sharded else self.accelerator.no_sync(self.wrapped):
                share = 1 / len(passes)
                losses = self._pass(self._moved(batch), share) if self.replay is None else self.replay(batch)
            for name, value in losses.items():
                sums[name] = sums[name] + share * value if name in sums else share * value
        means = self.accelerator.reduce(torch.stack(list(sums.values())), reduction="mean")
        logged = {**dict(zip(sums, means, strict=True)), "gradient_norm": self._clip()}
        watched = torch.stack([logged["loss"], logged["gradient_norm"]])[: len(self.guard.names)]
        flag = self.guard.watch(step, passes, watched)
        if not self.config.optim.fused:
            if self.guard.check():
                self.prepared.zero_grad()  # AdamW leaves parameters without a gradient alone
        elif not self.accelerator.scaler:
            self.prepared.optimizer.found_inf = flag
        self.prepared.step()
        self.prepared.zero_grad()
        self.pace.tick(self.clock, self.accelerator)
        self.schedule.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.guard.check(keep=1)
        return logged

    def _moved(self, batch: Batch) -> Batch:
        """Move a batch to the device; mark text lengths as dynamic, so that torch.compile does not compile each one."""
        moved = {name: value.to(self.accelerator.device, non_blocking=True) for name, value in batch.items()}
        if self.config.model.compile:
            for name in moved.keys() & TEXT_KEYS:
                torch._dynamo.maybe_mark_dynamic(moved[name], 1)
        return moved

    def _clip(self) -> Tensor:
        """Clip the gradient if configured; return its norm before clipping, a scalar on the device."""
        self.accelerator.unscale_gradients()
        trained = [parameter for parameter in self.model.parameters() if parameter.grad is not None]
        norm = nn.utils.get_total_norm([cast(Tensor, parameter.grad) for parameter in trained])
        if self.config.optim.clip:
            nn.utils.clip_grads_with_norm_(trained, self.config.optim.clip, norm)
        return (norm.full_tensor() if isinstance(norm, DTensor) else norm).float()

    def after(self, done: int, metrics: Mapping[str, Tensor | float]) -> None:
        """Log, validate, draw and save what is due after `done` steps."""
        over = self.pace.over(done)

        def due(every: int) -> bool:
            return bool(every) and (done % every == 0 or over)

        if self.log is not None and due(self.config.log_every):
            self.log.write(done, {name: float(value) for name, value in metrics.items()})
        minutes = self.config.validate_minutes
        timely = bool(minutes) and (over or self.pace.minutes >= self.validated_at + minutes)
        scores = timely or due(self.config.validate_every)
        pictures, saves = due(self.config.pictures_every), due(self.config.save_every)
        if scores or pictures or saves:
            self.guard.check()
        if scores:
            self.validated_at = self.pace.minutes
        if scores or pictures:
            self._look(done, pictures, scores)
        if saves:
            state = gather_state(self.model, self.prepared, self.schedule, self.average)
            if self.accelerator.is_main_process:
                facts = {"identity": self.identity, "skipped": self.guard.skipped, **self.clock.facts()}
                save_state(self.out / "checkpoints", done, state, facts, self.config.keep)

    def _look(self, done: int, pictures: bool, scores: bool) -> None:
        with self._kept() as kept:
            if kept is None or self.log is None or self.validation is None:
                return
            with torch.random.fork_rng():
                predictor = self.learner.predictor(kept)
                if scores:
                    look = self._calibrate(predictor, self.validation)
                    metrics = {f"validation_{name}": value for name, value in look.scores.items()}
                    metrics["validation_no_target_threshold"] = look.threshold
                    metrics["minutes"] = self.clock.facts()["seconds"] / 60
                    self.log.write(done, metrics)
                    self.calibrated = done, look.threshold
                    if (look.scores["gIoU"] or 0.0) > self.best:
                        self.best = look.scores["gIoU"] or 0.0
                        self.learner.save(kept, self.out / "best")
                if pictures:  # with the threshold just chosen
                    path = self.out / "pictures" / f"step-{done:07d}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self.validation.draw(predictor, path, f"{self.config.name}, step {done}")
        self.model.train()

    @staticmethod
    def _calibrate(predictor: MaskPredictor[Any], validation: ModelValidation) -> Look:
        """Score a model and store the no-target threshold chosen for it in its configuration."""
        look = validation.look(predictor)
        if look.threshold is not None:
            predictor.model.config.no_target_threshold = look.threshold
        return look

    def _calibrate_final(self, kept: PreTrainedModel, steps: int) -> dict[str, Any]:
        """Calibrate a final model with a no-target head; return the facts for run.json."""
        if not getattr(kept.config, "no_target_head", False):
            return {}
        before = getattr(kept.config, "no_target_threshold", NO_TARGET_THRESHOLD)
        try:
            validation = self.validation or ModelValidation(self.config)
        except (EarthReasonError, ValueError) as error:  # `datasets` raises ValueError for a missing split
            logger.warning("no validation split, so the no-target threshold stays %.4g: %s", before, error)
            return {}
        scored, threshold = self.calibrated
        if scored != steps:
            with torch.random.fork_rng():
                threshold = self._calibrate(self.learner.predictor(kept), validation).threshold
        elif threshold is not None:
            kept.config.no_target_threshold = threshold  # with adapters, a copy was scored
        if threshold is None:
            lacking = "target" if validation.facts["empties"] else "empty target"
            logger.warning("no %s in validation, so the no-target threshold stays %.4g", lacking, before)
        return {"no_target_threshold": before if threshold is None else threshold, **validation.facts}

    @contextmanager
    def _kept(self) -> Iterator[PreTrainedModel | None]:
        """Yield the model to validate and save: averaged if configured, unsharded, with merged adapters.

        All processes must enter; only the first one gets the model, others None.
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

    def finish(self, steps: int) -> Path:
        """Write the final model and run.json after `steps` steps; return the model's folder.

        Raises:
            EarthReasonError: too many steps were skipped, the last one included.
        """
        self.guard.check()
        with self._kept() as kept:
            if kept is not None:
                calibration = self._calibrate_final(kept, steps)
                self.learner.save(kept, self.out / "final")
                write_card(self.out, self.config, self.model, steps, self.clock, self.accelerator, calibration)
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()
        return self.out / "final"
