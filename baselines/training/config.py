"""The configuration of a training run: a YAML file, changed by key=value on the command line, saved with the run."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from earthreason.errors import DataNotFoundError, EarthReasonError


class Part(BaseModel):
    """Base of all parts: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelConfig(Part):
    """What is trained.

    Attributes:
        checkpoint: folder or Hub id to start from; None makes a new model of `size`.
        size: of a new model with a byte tokenizer: `mini` for tests, `tiny` with a few million parameters.
        freeze_vision: keep the image encoder as it is (its stochastic depth stays on, as in the reference).
        gradient_checkpointing: of the language model.
    """

    checkpoint: str | None = None
    size: Literal["mini", "tiny"] = "tiny"
    freeze_vision: bool = True
    gradient_checkpointing: bool = False


class DataConfig(Part):
    """What it is trained on.

    Attributes:
        config: of `load_dataset`.
        data_dir: folder of the data, where the configuration needs one.
        train, validation: splits, slices allowed.
        question: the first of every sample, or one at random every epoch.
        task: the wording of the prompt; referring sets have no answers to learn.
    """

    config: str = "default"
    data_dir: str | None = None
    train: str = "train"
    validation: str = "validation"
    question: Literal["first", "random"] = "first"
    task: Literal["reasoning", "referring"] = "reasoning"


class OptimConfig(Part):
    """How it is trained.

    Attributes:
        learning_rate, weight_decay, betas: of AdamW, the same for every parameter.
        warmup_share: of all steps, linear; the rest is a cosine to 0.
        global_batch: samples a step, whatever the number of processes.
        micro_batch: samples a forward pass.
        epochs: passes over the training split, the last incomplete batch dropped; unless `steps` is given.
        clip: largest norm of the gradient; 0 for no clipping, as in the reference.
    """

    learning_rate: float = Field(default=1e-4, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    warmup_share: float = Field(default=0.03, ge=0, le=1)
    global_batch: int = Field(default=16, ge=1)
    micro_batch: int = Field(default=1, ge=1)
    epochs: int = Field(default=15, ge=1)
    steps: int | None = Field(default=None, ge=1)
    clip: float = Field(default=0.0, ge=0)


class TrainConfig(Part):
    """A run.

    Attributes:
        name: for the run card.
        seed: of new weights, data order, questions, points and stochastic depth.
        precision: of the forward pass.
        workers: processes that load data; the order of the data does not depend on them.
        log_every, save_every, validate_every: steps; 0 never.
        validation_samples: at most so many are predicted each time.
        keep: checkpoints at most, besides the best.
    """

    name: str = "segearth_r1"
    seed: int = 42
    precision: Literal["no", "bf16", "fp16"] = "no"
    workers: int = Field(default=0, ge=0)
    log_every: int = Field(default=10, ge=1)
    save_every: int = Field(default=100, ge=0)
    validate_every: int = Field(default=0, ge=0)
    validation_samples: int = Field(default=64, ge=1)
    keep: int = Field(default=2, ge=1)
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    optim: OptimConfig = OptimConfig()


def load_config(path: Path, overrides: list[str] | None = None) -> TrainConfig:
    """Read a YAML file and apply `part.key=value` overrides.

    Raises:
        DataNotFoundError: there is no such file.
        EarthReasonError: a key is unknown (names the nearest), or a value is not possible.
    """
    if not path.is_file():
        raise DataNotFoundError(f"there is no configuration {path}; configs/ holds the presets")
    try:
        values: Any = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise EarthReasonError(f"{path}: not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(values, dict):
        raise EarthReasonError(f"{path}: expected keys and values")
    for override in overrides or []:
        key, equals, text = override.partition("=")
        if not equals:
            raise EarthReasonError(f"{override!r}: overrides are written key=value, such as optim.learning_rate=3e-5")
        _set(values, key.split("."), _value(text))
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise EarthReasonError(f"{path}: {_describe(error)}") from None


def _value(text: str) -> Any:
    try:
        return float(text) if "e" in text.lower() else yaml.safe_load(text)
    except ValueError:
        return yaml.safe_load(text)


def _set(values: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise EarthReasonError(f"{'.'.join(keys)}: {key} has no keys of its own")
    values[keys[-1]] = value


def _describe(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    place = [str(part) for part in fault["loc"]]
    if fault["type"] != "extra_forbidden":
        return f"{'.'.join(place)}: {fault['msg']}, got {fault['input']!r}"
    part: type[BaseModel] = TrainConfig
    for key in place[:-1]:
        part = type(part.model_fields[key].default)
    known = list(part.model_fields)
    nearest = get_close_matches(place[-1], known, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"unknown key {'.'.join(place)!r}{hint} (known: {', '.join(known)})"
