"""Configuration of a training run: a YAML file, overridden by key=value on the command line, saved with the run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from earthreason.errors import DataNotFoundError, EarthReasonError, UnknownNameError, describe_faults

from ..common.languages import Size
from ..common.losses import LossOptions, PointPadding
from ..common.prompt import Task
from ..common.settings import read_settings

PRESETS = Path(__file__).parents[1] / "configs"
"""Folder of the configurations that come with the package."""


class Part(BaseModel):
    """Base of all parts; refuses unknown keys, and numbers that are not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ArchitectureConfig(Part):
    """Changes to the architecture; None keeps the default, or the checkpoint's value.

    With a checkpoint, a no-target head can be added and `drop_path_rate` changed; other values must match it.

    Attributes:
        connector_strides: strides of the connector; (2, 2) reduces the visual tokens 16-fold, (2, 1) 4-fold. PSALM's
            second one is 1.
        query: source of the mask decoder's query: the mean over the `description`, or the state of the `seg` token.
        d_projector: whether the query is refined by attending to the image.
        no_target_head: whether an extra output predicts if there is a target; not in the paper.
        drop_path_rate: stochastic depth of the image encoder.
    """

    connector_strides: tuple[int, int] | None = None
    query: Literal["description", "seg"] | None = None
    d_projector: bool | None = None
    no_target_head: bool | None = None
    drop_path_rate: float | None = Field(default=None, ge=0, lt=1)


class LoraConfig(Part):
    """Low-rank adapters (arXiv 2106.09685) of the language model.

    Besides them, only the embeddings of added tokens are trained in the language model.

    Attributes:
        rank, alpha, dropout: settings `r`, `lora_alpha` and `lora_dropout` of peft.
        targets: names of the linear layers that get adapters.
    """

    rank: int = Field(default=8, ge=1)
    alpha: int = Field(default=16, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] = ("q_proj", "v_proj")


class ModelConfig(Part):
    """Model to train.

    Attributes:
        name: name of the model; set by `earthreason-baselines train NAME`.
        checkpoint: folder or Hub id to start from; None makes a new model.
        size: size of a new model: `mini` for tests, `tiny` with six million parameters (ten with the words of
            `minilm`), `small` with more.
        vision: pretrained image encoder of a new model, instead of a Swin from scratch: `efficientnet_lite0`, or folder
            or Hub id of a vision model of transformers.
        language_model: folder, Hub id or GGUF file of the pretrained language model of a new model; None starts from
            scratch.
        image_size: side of the canvas in pixels, a multiple of 128; None keeps the checkpoint's, and is 256 for a new
            model. LISA's weights fix it.
        tokenizer: tokenizer of a language model from scratch: `bytes`; `learned` (BPE) from the training texts;
            `minilm`, the word pieces of all-MiniLM-L6-v2, each starting with its meaning there; or folder or Hub id of
            another BERT-like sentence encoder.
        architecture: changes to the architecture.
        lora: adapters to train instead of the language model's weights.
        freeze_vision: whether the image encoder is frozen (its stochastic depth stays on, as in the reference).
        freeze_language: whether the language model is frozen.
        gradient_checkpointing: whether the language model recomputes activations in the backward pass.
        compile: whether to use torch.compile.
        replay: whether to replay forward and backward pass as CUDA graphs, for small models whose kernels take longer
            to launch than to run. Needs one GPU, one pass per step, and no fp16.
    """

    name: str = "segearth_r1"
    checkpoint: str | None = None
    size: Size = "tiny"
    vision: str | None = None
    language_model: str | None = None
    image_size: int | None = Field(default=None, ge=128, multiple_of=128)
    tokenizer: str = "bytes"
    architecture: ArchitectureConfig = ArchitectureConfig()
    lora: LoraConfig | None = None
    freeze_vision: bool = True
    freeze_language: bool = False
    gradient_checkpointing: bool = False
    compile: bool = False
    replay: bool = False

    @property
    def new_image_size(self) -> int:
        """Side of the canvas of a new model, in pixels."""
        return 256 if self.image_size is None else self.image_size


class DataConfig(Part):
    """Training data.

    Attributes:
        config: configuration name for `load_dataset`.
        data_dir: folder of the data, if the configuration needs one.
        train, validation: names of the splits; slices allowed.
        question: `first` question of each sample, or a `random` one in each epoch.
        task: kind of question, which sets the wording of the prompt; referring sets have no answers to learn.
        augment: `dihedral` rotates and flips images whose question and answer name no direction.
        empty_share: share of empty targets among the samples drawn; None keeps that of the split.
        word_dropout: share of the words of each question that training leaves out, at random.
        category_maps: whether a head learns the category of each pixel from the maps that
            `earthreason synth --category-maps` writes; saved models do not have it. For segearth_r1 and psalm.
    """

    config: str = "default"
    data_dir: str | None = None
    train: str = "train"
    validation: str = "validation"
    question: Literal["first", "random"] = "first"
    task: Task = "reasoning"
    augment: Literal["none", "dihedral"] = "none"
    empty_share: float | None = Field(default=None, ge=0, le=1)
    word_dropout: float = Field(default=0.0, ge=0, lt=1)
    category_maps: bool = False


class LossWeights(Part):
    """Weights of the losses; None keeps the model's own.

    Attributes:
        bce, dice: weights of the mask losses; 5 and 5 in segearth_r1 and psalm, 2 and 0.5 in lisa and pixellm.
        score: weight of the score of psalm's queries, 2.
        language: weight of the next-token loss, 1; psalm has none.
        presence: weight of the loss of the no-target head, 1.
    """

    bce: float | None = Field(default=None, ge=0)
    dice: float | None = Field(default=None, ge=0)
    score: float | None = Field(default=None, ge=0)
    language: float | None = Field(default=None, ge=0)
    presence: float | None = Field(default=None, ge=0)


Schedule = Literal["cosine", "linear"]


class OptimConfig(Part):
    """Optimizer and training budget.

    Attributes:
        learning_rate, weight_decay, betas: settings of AdamW, equal for all parameters except for `layer_decay`.
        layer_decay: factor of the learning rate from each block of the image encoder to the block before it.
        ema: decay of a running average of the weights, which is validated and saved instead of them; 0 disables it.
        fused: whether AdamW runs as one kernel; affects speed only.
        warmup_share: share of the run with a linear warm-up.
        schedule: fall of the learning rate to 0 after the warm-up: `cosine`, or `linear` as LISA and PixelLM train.
        global_batch: samples per step over all processes.
        micro_batch: samples per forward pass.
        epochs: passes over the training split, without its last incomplete batch; ignored with `steps` or `minutes`.
        steps: optimizer steps.
        minutes: wall time of the run, including validation; its elapsed share sets the learning rate.
        clip: maximum gradient norm; 0 disables clipping, as in the reference.
        max_skipped: maximum number of steps in a row that are skipped because loss or gradient is not finite; one more
            stops the run, as do more than that in all if they are over 5 % of the steps. 0 stops at the first one.
        dice_on_empty: whether samples with an empty target have a Dice loss; without, theirs is 0. PSALM's never have.
        point_padding: what sampling of loss points reads outside the mask: `zeros` as in the reference, which makes the
            outer half pixel look uncertain, or the `border` pixels. For segearth_r1 and psalm.
        points: points sampled per mask by the losses of segearth_r1 and psalm.
        category_weight: weight of the loss of `data.category_maps`.
        loss_weights: weights of the other losses.
    """

    learning_rate: float = Field(default=1e-4, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    ema: float = Field(default=0.0, ge=0, lt=1)
    fused: bool = True
    warmup_share: float = Field(default=0.03, ge=0, le=1)
    schedule: Schedule = "cosine"
    global_batch: int = Field(default=16, ge=1)
    micro_batch: int = Field(default=1, ge=1)
    epochs: int = Field(default=15, ge=1)
    steps: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    clip: float = Field(default=0.0, ge=0)
    max_skipped: int = Field(default=5, ge=0)
    dice_on_empty: bool = LossOptions.dice_on_empty
    point_padding: PointPadding = LossOptions.padding
    points: int = Field(default=LossOptions.points, ge=16)
    category_weight: float = Field(default=LossOptions.category, ge=0)
    loss_weights: LossWeights = LossWeights()

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.steps is not None and self.minutes is not None:
            raise ValueError("give steps or minutes, not both (steps=null removes the steps of a preset)")
        return self


Shard = Literal["none", "gradients", "everything"]


class TrainConfig(Part):
    """Configuration of a training run.

    Attributes:
        name: name of the run, written to run.json.
        seed: seed of new weights, data order, questions, loss points and stochastic depth.
        precision: number format of the forward pass; `no` is float32.
        shard: state sharded over the processes: `none`, `gradients` and optimizer state (ZeRO-2), or `everything`
            (ZeRO-3).
        workers: processes that load data; `auto` is all cores but one with a GPU, 0 without. The data order does not
            depend on it.
        log_every, save_every, validate_every, pictures_every: steps between these actions; 0 disables them.
        validate_minutes: minutes between validations in a run with `optim.minutes`; 0 disables them.
        validation_samples: maximum number of samples per validation.
        keep: maximum number of checkpoints, besides the best model.
        trackers: experiment trackers that receive the metrics, besides `metrics.csv`.
        model: model to train.
        data: training data.
        optim: optimizer and training budget.
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

    @field_validator("precision", mode="before")
    @classmethod
    def _no_is_a_word(cls, value: Any) -> Any:
        return "no" if value is False else value  # how YAML 1.1 reads an unquoted no

    @model_validator(mode="after")
    def _clocked(self) -> Self:
        if self.model.replay and (self.optim.micro_batch != self.optim.global_batch or self.precision == "fp16"):
            raise ValueError("model.replay needs optim.micro_batch=optim.global_batch, and precision no or bf16")
        if self.validate_minutes and self.optim.minutes is None:
            raise ValueError("validate_minutes needs optim.minutes; use validate_every in a run by steps")
        return self


def preset_names() -> list[str]:
    """List the configurations that come with the package, such as `segearth_r1/tiny`."""
    return sorted(
        path.relative_to(PRESETS).with_suffix("").as_posix()
        for path in PRESETS.glob("*/*.yaml")
        if path.parent.name != "suites"
    )


def find_config(given: Path) -> Path:
    """Find a configuration by its path, or by the name of one that comes with the package.

    Raises:
        DataNotFoundError: there is neither; the message lists the names.
    """
    if given.is_file():
        return given
    name = given.as_posix().removeprefix("configs/").removesuffix(".yaml")  # their place before 0.2
    if name in preset_names():
        return PRESETS / f"{name}.yaml"
    raise DataNotFoundError(
        f"there is no configuration {given}; give a YAML file, or one that comes with the package: "
        f"{', '.join(preset_names())}"
    )


def load_config(given: Path, overrides: list[str] | None = None) -> TrainConfig:
    """Read a configuration and apply `part.key=value` overrides.

    Args:
        given: path of a YAML file, or name of a configuration that comes with the package.
        overrides: changes, each as `part.key=value`.

    Raises:
        DataNotFoundError: there is no such configuration.
        EarthReasonError: a key is unknown, or a value is invalid.
    """
    path = find_config(given)
    values = read_settings(path)
    for override in overrides or []:
        key, equals, text = override.partition("=")
        if not equals:
            raise EarthReasonError(f"{override!r}: write overrides as key=value, such as optim.learning_rate=3e-5")
        try:
            _set(values, key.split("."), _value(text))
        except yaml.YAMLError:
            raise EarthReasonError(f"{override!r}: the value is not YAML; is a bracket or quote left open?") from None
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise EarthReasonError(f"{path}: {_explain(error)}") from None


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


def _explain(error: ValidationError) -> str:
    fault = error.errors()[0]
    if fault["type"] != "extra_forbidden":
        return describe_faults(error)[0]
    *places, name = map(str, fault["loc"])
    part: type[BaseModel] = TrainConfig
    for place in places:
        part = LoraConfig if place == "lora" else type(part.model_fields[place].default)
    return str(UnknownNameError(f"{'.'.join(places)} key".strip(), name, part.model_fields))
