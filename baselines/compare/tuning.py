"""Record of a search for the optimizer settings of each model of a suite, in a file beside the suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from earthreason.errors import EarthReasonError, describe_validation_error
from earthreason.files import write_text

from ..common.settings import read_settings
from ..training.config import TrainConfig
from .identity import Identity, settings_of


class Trial(BaseModel):
    """A training of a model with settings of the grid.

    Attributes:
        settings: changes to the optimizer.
        targets_giou: gIoU of the validation questions with a target after the last step, a fraction; None if the
            training diverged. That of all questions would reward a model that answers none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    settings: dict[str, Any]
    targets_giou: float | None = Field(ge=0, le=1)


class Tuning(BaseModel):
    """A finished search.

    Attributes:
        command: command that ran it.
        grid: values of each setting; every model tried all combinations.
        training: settings of the trainings without those of the models and of the grid, by dotted key.
        training_data, validation_data: SHA-256 of the content.
        models: identity of each model, see `identify_model`.
        chosen: settings with the highest score, by model; the first of equal ones.
        trials: all trials, by model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    command: str
    grid: dict[str, list[Any]]
    training: dict[str, Any]
    training_data: str
    validation_data: str
    models: dict[str, Identity]
    chosen: dict[str, dict[str, Any]]
    trials: dict[str, tuple[Trial, ...]]

    def settings_of(self, variant: str, model: str) -> dict[str, Any]:
        """Return what was found for a variant, or else for the model that it is a variant of."""
        return self.chosen.get(variant) or self.chosen[model]

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if len({len(trials) for trials in self.trials.values()}) > 1:
            raise ValueError("models have different numbers of trials")
        if self.chosen != {model: best_of(trials).settings for model, trials in self.trials.items()}:
            raise ValueError("chosen settings are not those of the best trials")
        return self


def best_of(trials: Sequence[Trial]) -> Trial:
    """Return the trial with the highest score, the first of equal ones."""
    return max(trials, key=lambda trial: -1.0 if trial.targets_giou is None else trial.targets_giou)


def tuning_path(suite: Path) -> Path:
    """Return the file that holds the record of the search of a suite's file."""
    return suite.parent / "tuned" / suite.name


def shared_settings(train: TrainConfig, grid: Mapping[str, Any]) -> Identity:
    """List the settings that the trainings of all models have in common, by dotted key."""
    return {
        key: value
        for key, value in settings_of(train).items()
        if key not in ("seed", "model.name") and not any(f"{key}.".startswith(f"optim.{name}.") for name in grid)
    }


def read_tuning(suite: Path, train: TrainConfig, grid: Mapping[str, Any], models: Sequence[str]) -> Tuning | None:
    """Read the record of the search of a suite; None if there was none.

    Args:
        suite: file of the suite.
        train: the suite's configuration of training runs.
        grid: the suite's grid.
        models: names of the models that the suite trains.

    Raises:
        EarthReasonError: the file is not a record, or is of a search with other settings or models.
    """
    path = tuning_path(suite)
    if not path.is_file():
        return None
    try:
        tuning = Tuning.model_validate(read_settings(path))
    except ValidationError as error:
        raise EarthReasonError(f"{path}: {describe_validation_error(error, limit=1)}") from None
    wanted = {"grid": dict(grid), "models": sorted(models), **shared_settings(train, grid)}
    before = {"grid": tuning.grid, "models": sorted(tuning.trials), **tuning.training}
    if changed := [key for key in {**before, **wanted} if before.get(key) != wanted.get(key)]:
        raise EarthReasonError(
            f"{path} is of a search with another {', '.join(changed[:3])}; remove it and run "
            "earthreason-baselines tune again"
        )
    return tuning


def write_tuning(path: Path, tuning: Tuning) -> None:
    """Write the record of a search as YAML."""
    values = tuning.model_dump(mode="json")
    text = yaml.safe_dump(values, sort_keys=False, width=120, default_flow_style=None)
    write_text(path, f"# Written by `earthreason-baselines tune`; comparisons of the suite read it.\n{text}")
