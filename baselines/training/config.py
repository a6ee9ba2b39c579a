"""The configuration of a training run: a YAML file, changed by key=value on the command line, saved with the run."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from baselines.common.languages import Size
from earthreason.errors import DataNotFoundError, EarthReasonError


class Part(BaseModel):
    """Base of all parts: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ArchitectureConfig(Part):
    """Parts that the paper introduces, to leave out or to change; None keeps the default, or what the checkpoint has.

    Beside a checkpoint, a head can be added and `drop_path_rate` changed; the rest has to agree with it.

    Attributes:
        connector_strides: (2, 2) compresses the visual tokens 1:16, (2, 1) 1:4.
        query: of the mask decoder: the mean over the `description`, or the state of the `seg` token.
        d_projector: refine the query by attending to the image.
        no_target_head: an output of its own for "nothing answers"; not in the paper.
        drop_path_rate: stochastic depth of the image encoder.
    """

    connector_strides: tuple[int, int] | None = None
    query: Literal["description", "seg"] | None = None
    d_projector: bool | None = None
    no_target_head: bool | None = None
    drop_path_rate: float | None = Field(default=None, ge=0, lt=1)


class LoraConfig(Part):
    """Low-rank adapters (arXiv 2106.09685) in the language model, which is frozen but for them and the
    embeddings of the added tokens.

    Attributes:
        rank, alpha, dropout: as in peft.
        targets: names of the linear layers that get adapters.
    """

    rank: int = Field(default=8, ge=1)
    alpha: int = Field(default=16, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] = ("q_proj", "v_proj")


class ModelConfig(Part):
    """The model to train.

    Attributes:
        name: name of the model; `python -m baselines train NAME` sets it.
        checkpoint: folder or Hub id to start from; None makes a new model.
        size: of a new model: `mini` for tests, `tiny` with a few million parameters, `small` with more.
        language_model: pretrained model around which a new one is made: folder, Hub id or GGUF file.
        image_size: canvas, pixels, a multiple of 128. Beside a checkpoint the default keeps its size, another value has
            to agree with it, except for PixelLM.
        tokenizer: of a model from scratch: `bytes`, or `learned` (BPE) from the training texts.
        architecture: what differs from the default.
        lora: train adapters instead of the language model.
        freeze_vision: keep the image encoder as it is (its stochastic depth stays on, as in the reference).
        freeze_language: keep the language model as it is.
        gradient_checkpointing: of the language model.
        compile: run through torch.compile.
        replay: record forward and backward pass as CUDA graphs: for small models, whose kernels take longer to launch
            than to run. One GPU, one pass a step, and no fp16.
    """

    name: str = "segearth_r1"
    checkpoint: str | None = None
    size: Size = "tiny"
    language_model: str | None = None
    image_size: int = Field(default=256, ge=128, multiple_of=128)
    tokenizer: Literal["bytes", "learned"] = "bytes"
    architecture: ArchitectureConfig = ArchitectureConfig()
    lora: LoraConfig | None = None
    freeze_vision: bool = True
    freeze_language: bool = False
    gradient_checkpointing: bool = False
    compile: bool = False
    replay: bool = False


class DataConfig(Part):
    """The training data.

    Attributes:
        config: of `load_dataset`.
        data_dir: folder of the data, where the configuration needs one.
        train, validation: splits, slices allowed.
        question: the first of every sample, or one at random every epoch.
        task: the wording of the prompt; referring sets have no answers to learn.
        augment: `dihedral` turns and mirrors images whose question and answer name no direction.
        empty_share: of the samples drawn, so many are empty targets; None takes them as they come.
    """

    config: str = "default"
    data_dir: str | None = None
    train: str = "train"
    validation: str = "validation"
    question: Literal["first", "random"] = "first"
    task: Literal["reasoning", "referring"] = "reasoning"
    augment: Literal["none", "dihedral"] = "none"
    empty_share: float | None = Field(default=None, ge=0, le=1)


class OptimConfig(Part):
    """The optimizer and the training budget.

    Attributes:
        learning_rate, weight_decay, betas: of AdamW, the same for every parameter, but for `layer_decay`.
        layer_decay: factor of the rate from one block of the image encoder to the one before it.
        ema: decay of a running average of the weights, which is then what is validated and kept; 0 for none.
        fused: AdamW in one kernel; changes nothing but speed.
        warmup_share: of all steps or minutes, linear; the rest is a cosine to 0.
        global_batch: samples a step, whatever the number of processes.
        micro_batch: samples a forward pass.
        epochs: passes over the training split, the last incomplete batch dropped; unless `steps` or `minutes` is given.
        minutes: instead of `steps`: train by the clock, whose share of `minutes` sets the rate. Validations count.
        clip: largest norm of the gradient; 0 for no clipping, as in the reference.
    """

    learning_rate: float = Field(default=1e-4, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    ema: float = Field(default=0.0, ge=0, lt=1)
    fused: bool = True
    warmup_share: float = Field(default=0.03, ge=0, le=1)
    global_batch: int = Field(default=16, ge=1)
    micro_batch: int = Field(default=1, ge=1)
    epochs: int = Field(default=15, ge=1)
    steps: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    clip: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.steps is not None and self.minutes is not None:
            raise ValueError("give steps or minutes, not both (steps=null takes the steps of a preset away)")
        return self


Shard = Literal["none", "gradients", "everything"]


class TrainConfig(Part):
    """A training run.

    Attributes:
        name: name of the run, shown in its card.
        seed: of new weights, data order, questions, points and stochastic depth.
        precision: of the forward pass.
        shard: over processes: `none` (each has all), `gradients` and moments (ZeRO-2), or `everything` (ZeRO-3).
        workers: processes that load data; `auto` takes all cores but one beside a GPU, none on a CPU. The order of the
            data does not depend on them.
        log_every, save_every, validate_every, pictures_every: steps; 0 never.
        validate_minutes: minutes from one validation to the next, in a run by the clock; 0 never.
        validation_samples: at most so many are predicted each time.
        keep: checkpoints at most, besides the best.
        trackers: where metrics go besides `metrics.csv`.
    """

    name: str = "segearth_r1"
    seed: int = 42
    precision: Literal["no", "bf16", "fp16"] = "no"
    shard: Shard = "none"
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    log_every: int = Field(default=10, ge=1)
    save_every: int = Field(default=100, ge=0)
    validate_every: int = Field(default=0, ge=0)
    validate_minutes: float = Field(default=0.0, ge=0)
    pictures_every: int = Field(default=0, ge=0)
    validation_samples: int = Field(default=64, ge=1)
    keep: int = Field(default=2, ge=1)
    trackers: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    optim: OptimConfig = OptimConfig()

    @model_validator(mode="after")
    def _clocked(self) -> Self:
        if self.model.replay and (self.optim.micro_batch != self.optim.global_batch or self.precision == "fp16"):
            raise ValueError("model.replay needs optim.micro_batch=optim.global_batch, and precision no or bf16")
        if self.validate_minutes and self.optim.minutes is None:
            raise ValueError("validate_minutes needs optim.minutes; a run by steps has validate_every")
        return self


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
        try:
            _set(values, key.split("."), _value(text))
        except yaml.YAMLError:
            raise EarthReasonError(f"{override!r}: the value is not YAML; is a bracket or quote left open?") from None
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
        part = LoraConfig if key == "lora" else type(part.model_fields[key].default)
    known = list(part.model_fields)
    nearest = get_close_matches(place[-1], known, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"unknown key {'.'.join(place)!r}{hint} (known: {', '.join(known)})"
