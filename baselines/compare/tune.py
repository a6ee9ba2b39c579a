"""Search the optimizer settings of each model of a suite on its validation scenes, with equal numbers of trials."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earthreason.errors import EarthReasonError
from earthreason.metrics.scores import TARGETS_GIOU

from ..training.config import TrainConfig
from ..training.guard import STOPPED
from ..training.records import read_metric
from .identity import Identity, refuse_other_run, settings_of
from .runs import hash_training_data, identify_models, train_once
from .suite import Suite, Variant
from .tuning import Trial, Tuning, best_of, shared_settings


def tune_suite(suite: Suite, out: Path, command: str) -> Tuning:
    """Train every model with every combination of the suite's grid; finished trials are kept, others resumed.

    Args:
        suite: suite with a grid.
        out: folder of the trials.
        command: command to name in the record.

    Raises:
        EarthReasonError: the suite has no grid of its own or no validation, `out` holds other runs, or a training
            fails otherwise than by diverging.
    """
    if suite.extends is not None:
        raise EarthReasonError(f"{suite.name} uses what is found for {suite.extends}; run tune --suite {suite.extends}")
    if not suite.grid:
        raise EarthReasonError(f"{suite.name} has no grid to search; name settings of optim and their values there")
    if not suite.train.validate_every:
        raise EarthReasonError(f"{suite.name}: a search needs validation scores; set train.validate_every")
    training_data, validation_data = hash_training_data(suite.train)
    models = identify_models(suite)
    data = {"training_data": training_data, "validation_data": validation_data}
    same = {name: {**model, **data} for name, model in models.items()}
    for variant in suite.trained:
        for _, folder, config in _runs(suite, variant, out):
            refuse_other_run(folder, {**settings_of(config), **same[variant.name]})
    trials = {variant.name: _try_all(suite, variant, out, same[variant.name]) for variant in suite.trained}
    return Tuning(
        command=command,
        grid=suite.grid,
        training=shared_settings(suite.train, suite.grid),
        training_data=training_data,
        validation_data=validation_data,
        models=models,
        chosen={name: best_of(found).settings for name, found in trials.items()},
        trials=trials,
    )


def _runs(suite: Suite, variant: Variant, out: Path) -> Iterator[tuple[dict[str, Any], Path, TrainConfig]]:
    """Yield the settings, the folder and the configuration of each trial of a model."""
    for number, settings in enumerate(suite.trials()):
        folder = out / f"{variant.stem}-trial{number}"
        yield settings, folder, suite.configure_trial(variant, settings, folder.name)


def _try_all(suite: Suite, variant: Variant, out: Path, same: Identity) -> tuple[Trial, ...]:
    runs = _runs(suite, variant, out)
    trials = tuple(
        Trial(settings=settings, targets_giou=_try(folder, config, {**settings_of(config), **same}))
        for settings, folder, config in runs
    )
    if best_of(trials).targets_giou is None:
        raise EarthReasonError(f"every trial of {variant.name} diverged; put lower learning rates into the grid")
    return trials


def _try(folder: Path, config: TrainConfig, identity: Identity) -> float | None:
    """Train, and return the score of the last validation; None if loss or gradient was too often not finite."""
    stopped = folder / "nan" / STOPPED
    if not stopped.is_file():
        try:
            train_once(folder, config, identity)
        except EarthReasonError:
            if not stopped.is_file():
                raise
    if stopped.is_file():
        return None
    curve = read_metric(folder / "metrics.csv", f"validation_{TARGETS_GIOU.name}")
    return curve[max(curve)]
