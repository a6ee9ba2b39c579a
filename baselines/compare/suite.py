"""Define a comparison: models, training, data, and the settings to search for each model."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from earthreason.errors import DataNotFoundError, EarthReasonError, describe_validation_error

from ..common.settings import read_settings
from ..registry import MODELS, check_learner, check_model
from ..training.config import ArchitectureConfig, ModelConfig, OptimConfig, TrainConfig
from . import SUITES, suite_names
from .tuning import Tuning, read_tuning

TUNING_SEED = 0
"""Seed of the trials of a search, which no run of a suite has."""
_INHERITED = {"train", "grid", "data_command"}
"""What a suite that extends another leaves to it, so that the search of that one holds."""
_BUDGET = {"steps", "minutes", "epochs", "global_batch"}


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

    def tune(self, base: OptimConfig, searched: Mapping[str, Any] | None = None) -> OptimConfig:
        """Return the suite's optimizer settings with this variant's changes, and with those found by a search."""
        return OptimConfig.model_validate(base.model_dump() | self.optim | dict(searched or {}))


class Suite(BaseModel):
    """A comparison.

    Attributes:
        name: name of the suite.
        title: title of the page.
        extends: suite whose training, data, seeds and search this one has, with other models; None if it has its own.
        trained: models to train. The others are compared with the first one.
        trivial: models that need no training.
        registered: whether to add the models whose registry entries have a preset for this suite.
        seeds: every trained model is trained once with each.
        data_command: command that made the training data; shown on the page.
        test_config, test_split, test_data_dir: data to predict and score.
        train: configuration of every training run; the suite sets model name and seed.
        allowed_spread: largest allowed difference in parameters between models, as a share of the smallest model.
        grid: values of optimizer settings whose combinations `earthreason-baselines tune` tries for each trained model.
        tuning: record of that search; its settings replace those of the variants. Read from the file beside the suite,
            or beside the one that it extends.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    title: str = "Model comparison"
    extends: str | None = None
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
    grid: dict[str, list[Any]] = Field(default_factory=dict)
    tuning: Tuning | None = Field(default=None, exclude=True)

    def configure(self, variant: Variant, seed: int, name: str) -> TrainConfig:
        """Make the configuration of one training run."""
        found = self.tuning.settings_of(variant.name, variant.model) if self.tuning else {}
        return self._configure(variant, seed, name, found)

    def configure_trial(self, variant: Variant, settings: Mapping[str, Any], name: str) -> TrainConfig:
        """Make the configuration of one trial of the search, with `settings` of the grid."""
        return self._configure(variant, TUNING_SEED, name, settings)

    def _configure(self, variant: Variant, seed: int, name: str, searched: Mapping[str, Any]) -> TrainConfig:
        changes = {
            "name": name,
            "seed": seed,
            "model": variant.configure(self.train.model),
            "optim": variant.tune(self.train.optim, searched),
        }
        return self.train.model_copy(update=changes)

    def trials(self) -> list[dict[str, Any]]:
        """List all combinations of the grid, the same for every model."""
        return [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())]

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
            for settings in self.trials():  # report mistakes before training
                variant.tune(self.train.optim, settings)
            if changed := sorted(_BUDGET & {*variant.optim, *self.grid}):
                raise ValueError(f"{variant.name} changes {', '.join(changed)}: all models must have the same budget")
        if self.grid and TUNING_SEED in self.seeds:
            raise ValueError(f"seed {TUNING_SEED} is that of the search; leave it out of seeds")
        return self


def find_suite(name: str) -> Path:
    """Find the file of a suite.

    Args:
        name: name of a file in baselines/configs/suites, or path of a YAML file.

    Raises:
        DataNotFoundError: the suite does not exist; the message lists the known ones.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else SUITES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(suite_names())
        raise DataNotFoundError(f"there is no suite {name!r} (known: {known}); or give a YAML file")
    return path


def load_suite(name: str, overrides: dict[str, Any] | None = None, searched: bool = True) -> Suite:
    """Load a suite, and the record of its search if there is one.

    Args:
        name: name of a file in baselines/configs/suites, or path of a YAML file.
        overrides: changes to the data section of the training configuration.
        searched: whether to read the record of the search.

    Raises:
        DataNotFoundError: the suite does not exist; the message lists the known ones.
        EarthReasonError: the file is not a valid suite, or names an unknown model, or the record is of other settings.
    """
    path = find_suite(name)
    try:
        values = _read(path)
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
    if not (suite.grid and searched):
        return suite
    if suite.extends is not None:
        tuning = load_suite(suite.extends, overrides).tuning
        unknown = {variant.model for variant in suite.trained} - (tuning.chosen.keys() if tuning else set())
        if tuning and unknown:
            raise EarthReasonError(f"{path}: the search of {suite.extends} was not for {', '.join(sorted(unknown))}")
    else:
        tuning = read_tuning(path, suite.train, suite.grid, [variant.name for variant in suite.trained])
    return suite.model_copy(update={"tuning": tuning})


def _read(path: Path) -> dict[str, Any]:
    """Read the values of a suite, with those of the suite that it extends behind them.

    Raises:
        EarthReasonError: the file changes what it must leave to the suite that it extends, or that extends another.
    """
    own = read_settings(path)
    if own.get("extends") is None:
        return own
    if changed := sorted(_INHERITED & own.keys()):
        raise EarthReasonError(
            f"{path}: {', '.join(changed)}: it is that of the suite extended, {own['extends']}; leave it out"
        )
    base = read_settings(find_suite(own["extends"]))
    if base.get("extends") is not None:
        raise EarthReasonError(f"{path}: extends {own['extends']}, which extends {base['extends']}; extend that one")
    return {**base, "registered": False, "trivial": (), **own}
