"""Define and run a comparison: train, predict and measure each model. A stopped suite can be resumed."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from baselines.common.predictor import MaskPredictor
from baselines.common.run import predict_split
from baselines.compare import SUITES, suite_names
from baselines.registry import MODELS, PredictorOptions, build_predictor, check_learner, check_model
from baselines.training.config import ArchitectureConfig, ModelConfig, OptimConfig, TrainConfig
from baselines.training.loop import train
from baselines.training.records import read_metric
from earthreason.data.load import load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.errors import DataNotFoundError, EarthReasonError, describe_validation_error
from earthreason.files import write_json

logger = logging.getLogger("earthreason.compare")
TIMED = 16
"""Number of questions in the speed measurement."""


class Variant(BaseModel):
    """Trained model of a suite; a model name alone means that model without changes.

    Attributes:
        name: name in the table and of the folders.
        model: registered name of the model.
        architecture: changes to the suite's architecture.
        optim: changes to the suite's optimizer, except to the budget; models need different learning rates.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern=r"^[\w .+-]+$")
    model: str
    architecture: ArchitectureConfig = ArchitectureConfig()
    optim: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value, "model": value} if isinstance(value, str) else value

    @property
    def stem(self) -> str:
        """Name of the files and folders."""
        return self.name.replace(" ", "_")

    def configure(self, base: ModelConfig) -> ModelConfig:
        """Return the suite's model configuration with this variant's changes, without parts the model does not have."""
        common = base.architecture.model_dump(include=set(MODELS[self.model].architecture))
        architecture = ArchitectureConfig(**{**common, **self.architecture.model_dump(exclude_unset=True)})
        return base.model_copy(update={"name": self.model, "architecture": architecture})

    def tune(self, base: OptimConfig) -> OptimConfig:
        """Return the suite's optimizer settings with this variant's changes."""
        return OptimConfig.model_validate(base.model_dump() | self.optim)


class Suite(BaseModel):
    """A comparison.

    Attributes:
        name: name of the suite.
        title: title of the page.
        trained: models to train. The others are compared with the first one.
        trivial: models that need no training.
        registered: whether to add the models whose registry entries have a preset for this suite.
        seeds: every trained model is trained once with each.
        data_command: command that made the training data; shown on the page.
        test_config, test_split, test_data_dir: data to predict and score.
        train: configuration of every training run; the suite sets model name and seed.
        allowed_spread: largest allowed difference in parameters between models, as a share of the smallest model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    title: str = "Model comparison"
    trained: tuple[Variant, ...] = Field(min_length=1)
    trivial: tuple[str, ...] = ()
    registered: bool = False
    seeds: tuple[int, ...] = Field(min_length=1)
    data_command: str
    test_config: str = "sample"
    test_split: str = "test"
    test_data_dir: str | None = None
    train: TrainConfig
    allowed_spread: float = Field(default=0.05, gt=0)

    def configure(self, variant: Variant, seed: int, name: str) -> TrainConfig:
        """Make the configuration of one training run."""
        changes = {
            "name": name,
            "seed": seed,
            "model": variant.configure(self.train.model),
            "optim": variant.tune(self.train.optim),
        }
        return self.train.model_copy(update=changes)

    @model_validator(mode="before")
    @classmethod
    def _add_registered(cls, values: dict[str, Any]) -> dict[str, Any]:
        if not values.get("registered"):
            return values
        entries = [entry for entry in MODELS.values() if values["name"] in entry.presets]
        changes = {entry.name: entry.presets[values["name"]] for entry in entries if entry.learner is not None}
        variants = [{"name": name, "model": name, **preset} for name, preset in changes.items()]
        trivial = [entry.name for entry in entries if entry.learner is None]
        return {
            **values,
            "trained": [*values.get("trained", ()), *variants],
            "trivial": [*values.get("trivial", ()), *trivial],
        }

    @model_validator(mode="after")
    def _one_budget(self) -> Suite:
        for variant in self.trained:
            variant.tune(self.train.optim)  # report mistakes before training
            if changed := sorted({"steps", "minutes", "epochs", "global_batch"} & set(variant.optim)):
                raise ValueError(f"{variant.name} changes {', '.join(changed)}: all models must have the same budget")
        return self


@dataclass(frozen=True)
class SuiteEntry:
    """A model of the suite and its measurements.

    Attributes:
        name: name of the model.
        predictions: predictions files, one per seed.
        parameters: number of parameters; None for trivial models.
        gflops: GFLOPs of a forward pass for one question about one image.
        samples_per_second: speed on this machine for questions about different images, median of three rounds.
        seconds: training time of all seeds together.
        curves: validation gIoU by step, one curve per seed.
    """

    name: str
    predictions: tuple[Path, ...]
    samples_per_second: float
    parameters: int | None = None
    gflops: float | None = None
    seconds: float = 0.0
    curves: tuple[dict[int, float], ...] = ()


def load_suite(name: str, overrides: dict[str, Any] | None = None) -> Suite:
    """Load a suite.

    Args:
        name: name of a file in configs/suites, or path of a YAML file.
        overrides: changes to the data section of the training configuration.

    Raises:
        DataNotFoundError: the suite does not exist; the message lists the known ones.
        EarthReasonError: the file is not a valid suite, or names an unknown model.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else SUITES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(suite_names())
        raise DataNotFoundError(f"there is no suite {name!r} (known: {known}); or give a YAML file")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        values["train"].setdefault("data", {}).update(overrides or {})
        suite = Suite.model_validate(values)
    except ValidationError as error:
        raise EarthReasonError(f"{path}: {describe_validation_error(error, limit=1)}") from None
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise EarthReasonError(f"{path}: not a suite: {str(error).splitlines()[0]}") from None
    for variant in suite.trained:
        check_learner(variant.model)
    for model in suite.trivial:
        check_model(model)
    return suite


def run_suite(suite: Suite, out: Path) -> list[SuiteEntry]:
    """Run the trainings and predictions that are missing.

    Raises:
        EarthReasonError: the models differ in size, data is missing, or a run fails.
    """
    entries = [_run_trained(suite, variant, out) for variant in suite.trained]
    sizes = [entry.parameters for entry in entries if entry.parameters is not None]
    if max(sizes) > (1 + suite.allowed_spread) * min(sizes):
        raise EarthReasonError(
            f"the models have {min(sizes):,} to {max(sizes):,} parameters; their sizes differ too much"
        )
    return entries + [_run_trivial(suite, model, out) for model in suite.trivial]


def _run_trained(suite: Suite, variant: Variant, out: Path) -> SuiteEntry:
    files, curves, seconds = [], [], 0.0
    for seed in suite.seeds:
        folder = out / f"{variant.stem}-seed{seed}"
        if not (folder / "run.json").is_file():
            logger.info("training %s, seed %d", variant.name, seed)
            train(suite.configure(variant, seed, folder.name), folder)
        options = PredictorOptions(checkpoint=str(folder / "final"), batch_size=suite.train.optim.micro_batch)
        files.append(_predict(suite, variant.model, options, folder / "predictions.json"))
        seconds += json.loads((folder / "run.json").read_text())["seconds"]
        curves.append(read_metric(folder / "metrics.csv", "validation_gIoU"))
    measured = _measure(suite, variant.model, options, out / f"{variant.stem}.json")
    return SuiteEntry(variant.name, tuple(files), seconds=seconds, curves=tuple(curves), **measured)


def _run_trivial(suite: Suite, model: str, out: Path) -> SuiteEntry:
    options = PredictorOptions(train_samples=lambda: map(sample_of_row, _training_rows(suite)))
    file = _predict(suite, model, options, out / model / "predictions.json")
    return SuiteEntry(model, (file,), **_measure(suite, model, options, out / f"{model}.json"))


def _predict(suite: Suite, model: str, options: PredictorOptions, path: Path) -> Path:
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        where = None if suite.test_data_dir is None else Path(suite.test_data_dir)
        predict_split(model, options, suite.test_config, suite.test_split, where, "first", path)
    return path


def _training_rows(suite: Suite) -> Any:
    data = suite.train.data
    return load_dataset("earthreason", data.config, split=data.train, data_dir=data.data_dir)


def _measure(suite: Suite, model: str, options: PredictorOptions, path: Path) -> dict[str, Any]:
    """Measure parameters, FLOPs and speed; keep them in a file, so that a resumed suite reports the same."""
    if path.is_file():
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept
    predictor = build_predictor(model, options)
    rows = load_dataset("earthreason", suite.test_config, split=suite.test_split, data_dir=suite.test_data_dir)
    samples = [sample_of_row(row) for row in rows.select(range(min(TIMED, len(rows))))]
    images, questions = [s.image for s in samples], [s.questions[0] for s in samples]
    predictor.predict(images, questions)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        predictor.predict(images, questions)
        times.append(time.perf_counter() - began)
    measured: dict[str, Any] = {"samples_per_second": len(images) / sorted(times)[1]}
    if isinstance(predictor, MaskPredictor):
        # the counter sees attention on every device only if it is computed as matrix products
        with FlopCounterMode(display=False) as counter, torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
            predictor.predict(images[:1], questions[:1])
        measured["gflops"] = counter.get_total_flops() / 1e9
        measured["parameters"] = sum(p.numel() for p in predictor.model.parameters())
    write_json(path, measured)
    return measured
