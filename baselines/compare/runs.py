"""Run a comparison: train, predict and measure each model. A stopped one can be resumed."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earthreason.data.load import load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.errors import EarthReasonError
from earthreason.files import write_json

from ..common.run import predict_split
from ..registry import PredictorOptions, build_predictor
from ..training.config import TrainConfig
from ..training.data import texts_of
from ..training.loop import train
from ..training.records import RUN, read_metric
from .identity import (
    Identity,
    claim_folder,
    hash_folder,
    hash_rows,
    identify_model,
    refuse_other_run,
    settings_of,
)
from .measure import count_parameters, measure_predictor
from .suite import Suite, Variant

logger = logging.getLogger("earthreason.compare")
TIMED = 16
"""Number of questions in the speed measurement."""
PREDICTIONS = "predictions.json"
WEIGHTS = "predicted_from.json"
"""File beside the predictions with the hash of the weights that they are of, written before the first of them."""


@dataclass(frozen=True)
class SuiteEntry:
    """A model of the suite and its measurements.

    Attributes:
        name: name of the model.
        predictions: predictions files, one per seed.
        parameters: number of parameters that a backward pass reaches; None for trivial models.
        all_parameters: number of all parameters.
        gflops: GFLOPs of a forward pass for one question about one image.
        samples_per_second: speed on this machine for questions about different images, in the fastest round.
        seconds: training time of all seeds together.
        curves: validation gIoU by step, one curve per seed.
    """

    name: str
    predictions: tuple[Path, ...]
    samples_per_second: float
    parameters: int | None = None
    all_parameters: int | None = None
    gflops: float | None = None
    seconds: float = 0.0
    curves: tuple[dict[int, float], ...] = ()


@dataclass(frozen=True)
class Plan:
    """A suite with the identity of each of its runs in a folder.

    Attributes:
        suite: suite to run.
        out: folder of all runs.
        models: identity of each variant's model, see `identify_model`.
        training_data, validation_data, test_data: SHA-256 of the content.
    """

    suite: Suite
    out: Path
    models: dict[str, Identity]
    training_data: str
    validation_data: str
    test_data: str

    @classmethod
    def make(cls, suite: Suite, out: Path) -> Plan:
        """Hash the data of a suite and identify its models."""
        hashes = hash_training_data(suite.train)
        return cls(suite, out, identify_models(suite), *hashes, hash_rows(_test_rows(suite)))

    def configure(self, variant: Variant, seed: int) -> tuple[Path, TrainConfig]:
        """Return folder and configuration of a training run."""
        folder = self.out / f"{variant.stem}-seed{seed}"
        return folder, self.suite.configure(variant, seed, folder.name)

    def identity(self, variant: Variant, config: TrainConfig) -> Identity:
        """Return the identity of a training run and its predictions."""
        validation = {"validation_data": self.validation_data}
        return {**settings_of(config), **self.models[variant.name], **self._data(), **validation}

    def trivial_identity(self, model: str) -> Identity:
        """Return the identity of the predictions of a model that is not trained."""
        return {"model.name": model, **self._data()}

    def _data(self) -> Identity:
        tested = f"{self.suite.test_config}/{self.suite.test_split}"
        return {"training_data": self.training_data, "test": tested, "test_data": self.test_data}

    def check(self) -> None:
        """Refuse before the first training what would stop a later one.

        Raises:
            EarthReasonError: a folder holds another run, or the settings were searched on other data or models.
        """
        for variant in self.suite.trained:
            for seed in self.suite.seeds:
                folder, config = self.configure(variant, seed)
                refuse_other_run(folder, self.identity(variant, config))
        for model in self.suite.trivial:
            refuse_other_run(self.out / model, self.trivial_identity(model))
        if tuning := self.suite.tuning:
            same_data = (tuning.training_data, tuning.validation_data) == (self.training_data, self.validation_data)
            if not same_data or any(tuning.models.get(name, model) != model for name, model in self.models.items()):
                what = "models" if same_data else "data"
                raise EarthReasonError(
                    f"the settings of {self.suite.name} were searched on other {what}; run earthreason-baselines tune"
                )


def identify_models(suite: Suite) -> dict[str, Identity]:
    """Identify the model of each variant of a suite."""
    rows = _rows_of(suite.train, suite.train.data.train)
    return {
        variant.name: identify_model(suite.configure(variant, suite.seeds[0], variant.stem), lambda: texts_of(rows))
        for variant in suite.trained
    }


def hash_training_data(train: TrainConfig) -> tuple[str, str]:
    """Hash the training and the validation split of a configuration."""
    training, validation = (hash_rows(_rows_of(train, split)) for split in (train.data.train, train.data.validation))
    return training, validation


def _rows_of(train: TrainConfig, split: str) -> Any:
    return load_dataset("earthreason", train.data.config, split=split, data_dir=train.data.data_dir)


def _test_rows(suite: Suite) -> Any:
    return load_dataset("earthreason", suite.test_config, split=suite.test_split, data_dir=suite.test_data_dir)


def run_suite(suite: Suite, out: Path) -> list[SuiteEntry]:
    """Run the trainings and predictions that are missing.

    Raises:
        EarthReasonError: `out` holds other runs, the models differ in size, data is missing, or a run fails.
    """
    plan = Plan.make(suite, out)
    plan.check()
    entries = [_run_trained(plan, variant) for variant in suite.trained]
    sizes = [entry.parameters for entry in entries if entry.parameters is not None]
    if max(sizes) > (1 + suite.allowed_spread) * min(sizes):
        raise EarthReasonError(
            f"the models have {min(sizes):,} to {max(sizes):,} parameters; their sizes differ too much"
        )
    return entries + [_run_trivial(plan, model) for model in suite.trivial]


def train_once(folder: Path, config: TrainConfig, identity: Identity) -> None:
    """Start or resume a training, unless it is finished."""
    claim_folder(folder, identity)
    if not (folder / RUN).is_file():
        logger.info("training %s", folder.name)
        train(config, folder)


def _run_trained(plan: Plan, variant: Variant) -> SuiteEntry:
    suite = plan.suite
    files, curves, seconds = [], [], 0.0
    for seed in suite.seeds:
        folder, config = plan.configure(variant, seed)
        train_once(folder, config, plan.identity(variant, config))
        weights = hash_folder(folder / "final")
        options = PredictorOptions(checkpoint=str(folder / "final"), batch_size=suite.train.optim.micro_batch)
        files.append(_predict(suite, variant.model, options, folder, weights))
        seconds += json.loads((folder / RUN).read_text())["seconds"]
        curves.append(read_metric(folder / "metrics.csv", "validation_gIoU"))

    def measure() -> dict[str, Any]:
        rows = _rows_of(config, config.data.train)
        return {**_measure(suite, variant.model, options), **count_parameters(config, folder / "final", rows)}

    measured = _measured_once(plan.out / f"{variant.stem}.json", {"weights": weights}, measure)
    return SuiteEntry(variant.name, tuple(files), seconds=seconds, curves=tuple(curves), **measured)


def _run_trivial(plan: Plan, model: str) -> SuiteEntry:
    suite, folder, identity = plan.suite, plan.out / model, plan.trivial_identity(model)
    claim_folder(folder, identity)
    options = PredictorOptions(train_samples=lambda: map(sample_of_row, _rows_of(suite.train, suite.train.data.train)))
    file = _predict(suite, model, options, folder, plan.training_data)
    measured = _measured_once(plan.out / f"{model}.json", identity, lambda: _measure(suite, model, options))
    return SuiteEntry(model, (file,), **measured)


def _predict(suite: Suite, model: str, options: PredictorOptions, folder: Path, weights: str) -> Path:
    """Predict what is missing; drop predictions of other weights first."""
    path, made_from = folder / PREDICTIONS, {"weights": weights}
    if _read_json(folder / WEIGHTS) != made_from:
        path.unlink(missing_ok=True)
        shutil.rmtree(path.with_name(f"{PREDICTIONS}.partial"), ignore_errors=True)
        write_json(folder / WEIGHTS, made_from)
    if not path.is_file():
        where = None if suite.test_data_dir is None else Path(suite.test_data_dir)
        predict_split(model, options, suite.test_config, suite.test_split, where, "first", path)
    return path


def _read_json(path: Path) -> Any:
    """Read a JSON file; None if there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _measured_once(path: Path, of: Identity, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the measurements kept in a file if they are `of` the same, so that a resumed suite reports the same."""
    kept = _read_json(path)
    if kept is None or kept["of"] != of:
        kept = {"of": of, "measured": measure()}
        write_json(path, kept)
    return dict(kept["measured"])


def _measure(suite: Suite, model: str, options: PredictorOptions) -> dict[str, Any]:
    rows = _test_rows(suite)
    samples = [sample_of_row(row) for row in rows.select(range(min(TIMED, len(rows))))]
    return measure_predictor(build_predictor(model, options), samples)
