"""A model as the training loop sees it, and the models it knows. A new one is one entry here."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from baselines.common.languages import TextPart, Texts, make_text
from baselines.common.modeling import ReasoningModel
from baselines.common.predictor import MaskPredictor
from baselines.common.processing import Processor
from baselines.common.prompt import Task
from baselines.training.config import ModelConfig, TrainConfig
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.torch import Item

Batch = dict[str, Tensor]
REPLAY_MULTIPLE = 64
"""Texts that are padded to it have few lengths, each of which a replayed step records once."""


@dataclass(frozen=True)
class Collate:
    """Makes batches of items; holds no model, as every process that loads data gets a copy.

    Attributes:
        processor: that fits the model.
        task: the wording of the prompts.
        multiple: texts are padded to a length that it divides.
    """

    processor: Processor
    task: Task
    multiple: int = 1

    def __call__(self, items: Sequence[Item]) -> Batch:
        """Items as one batch on the CPU."""
        prompts = [self.processor.prompt(item["question"], self.task, item["answer"], reply=True) for item in items]
        return {
            "pixel_values": torch.stack([item["image"] for item in items]),
            "masks": torch.stack([item["mask"] for item in items]),
            **self.processor.pad(prompts, self.multiple),
        }


class Learner:
    """A model with what is needed to feed it and to keep it."""

    def __init__(
        self, model: ReasoningModel, processor: Processor, predictor: type[MaskPredictor[Any]], config: TrainConfig
    ) -> None:
        """Wrap a model and freeze what the configuration says.

        Args:
            model: called with a batch; returns an output with `loss` and `losses` (by name, weighted). Its parts are
                called `vision_tower` and `language_model`.
            processor: that fits it.
            predictor: that answers with it.
            config: of the run.
        """
        self.model, self.processor, self.predictor_class = model, processor, predictor
        self.task, self.batch_size, self.image_size = config.data.task, config.optim.micro_batch, processor.image_size
        self.collate = Collate(processor, self.task, REPLAY_MULTIPLE if config.model.replay else 1)
        if config.model.freeze_vision:
            for part in model.frozen_with_vision:
                model.get_submodule(part).requires_grad_(False)
        language = model.get_submodule("language_model")
        if config.model.freeze_language:
            language.requires_grad_(False)
        if config.model.gradient_checkpointing:
            assert isinstance(language, PreTrainedModel)
            language.gradient_checkpointing_enable()

    def predictor(self, model: PreTrainedModel) -> MaskPredictor[Any]:
        """`model`, of the same kind as `self.model`, ready to answer."""
        return self.predictor_class(model, self.processor, self.batch_size, self.task)

    def save(self, model: PreTrainedModel, folder: Path) -> None:
        """Write a checkpoint that `python -m baselines predict` loads."""
        model.save_pretrained(folder)
        self.processor.save_pretrained(folder)


def assemble(
    config: TrainConfig,
    texts: Texts,
    predictor: type[MaskPredictor[Any]],
    fixed: Sequence[str],
    configure: Callable[[TextPart], PreTrainedConfig],
) -> Learner:
    """A learner from a checkpoint, or a new one.

    Args:
        config: of the run.
        texts: for tokenizers that are learned.
        predictor: names the classes of the model.
        fixed: what every prompt consists of.
        configure: the configuration of a new model around its language side.

    Raises:
        EarthReasonError: the checkpoint or language model cannot be loaded, or the checkpoint has other parts.
    """
    if config.model.checkpoint is not None:
        return _from_checkpoint(config, predictor, config.model.checkpoint)
    settings = config.model
    tokens = predictor.processor_class.tokens
    text = make_text(settings.size, settings.tokenizer, settings.language_model, tokens, fixed, texts)
    model_config = configure(text)
    model = _new_model(predictor, model_config, config.seed)
    text.load_into(model)
    return Learner(model, predictor.processor_class.for_model(model_config, text.tokenizer), predictor, config)


def _new_model(predictor: type[MaskPredictor[Any]], model_config: PreTrainedConfig, seed: int) -> ReasoningModel:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return predictor.model_class(model_config)


def _from_checkpoint(config: TrainConfig, predictor: type[MaskPredictor[Any]], checkpoint: str) -> Learner:
    loaded = predictor.from_pretrained(checkpoint)
    model, processor = loaded.model, loaded.processor
    if changes := changes_of(config.model, model.config):
        model_config = copy.deepcopy(model.config)
        for key, value in changes.items():
            setattr(model_config, key, value)
        weights = model.state_dict()
        model = _new_model(predictor, model_config, config.seed)
        model.load_state_dict(weights, strict=False, assign=True)  # what the checkpoint lacks stays new
        processor = predictor.processor_class.for_model(model_config, processor.tokenizer)
    return Learner(model, processor, predictor, config)


def changes_of(settings: ModelConfig, made: PreTrainedConfig) -> dict[str, Any]:
    """What a run asks for that the checkpoint it starts from, of configuration `made`, is not.

    Raises:
        EarthReasonError: it cannot be changed any more.
    """
    wanted = settings.architecture.model_dump(exclude_none=True)
    if settings.image_size != type(settings).model_fields["image_size"].default:
        wanted["image_size"] = settings.image_size
    changes = {key: value for key, value in wanted.items() if value != getattr(made, key)}
    for key, value in changes.items():
        if key not in LEARNERS[settings.name].adaptable or value is False:  # a head is added, never taken away
            part = "" if key == "image_size" else "architecture."
            raise EarthReasonError(
                f"model.{part}{key}={value}: {settings.checkpoint} was made with {getattr(made, key)}, which is "
                "fixed in its weights; leave the option out, or leave model.checkpoint out for a new model"
            )
    return changes


@dataclass(frozen=True)
class Trainable:
    """A model that can be trained.

    Attributes:
        builder: "module:function" that takes configuration and texts.
        options: keys of `model.architecture` that it has.
        adaptable: of these and `image_size`, what may differ from the checkpoint that training starts from.
    """

    builder: str
    options: frozenset[str]
    adaptable: frozenset[str]


_HEAD = frozenset({"no_target_head"})
_DEPTH = frozenset({"drop_path_rate"})
_SWIN = _HEAD | _DEPTH | {"connector_strides"}
LEARNERS = {
    "segearth_r1": Trainable("baselines.segearth_r1.learner:build", _SWIN | {"query", "d_projector"}, _HEAD | _DEPTH),
    "lisa": Trainable("baselines.lisa.learner:build", _HEAD, _HEAD),
    "pixellm": Trainable("baselines.pixellm.learner:build", _HEAD, _HEAD | {"image_size"}),
    "psalm": Trainable("baselines.psalm.learner:build", _SWIN, _HEAD | _DEPTH),
}


def build_learner(config: TrainConfig, texts: Texts) -> Learner:
    """The learner of `config.model.name`.

    Raises:
        UnknownNameError: no such model; names the nearest.
        EarthReasonError: its weights cannot be loaded, or `model.architecture` names a part that it does not have, or
            that differs from the checkpoint's and cannot be changed.
    """
    name = config.model.name
    check_learner(name)
    wanted = config.model.architecture.model_dump(exclude_none=True)
    lacking = sorted(set(wanted) - LEARNERS[name].options)
    if lacking:
        has = ", ".join(sorted(LEARNERS[name].options))
        raise EarthReasonError(f"model.architecture.{lacking[0]}: {name} has no such part (it has: {has})")
    module, _, function = LEARNERS[name].builder.partition(":")
    learner: Learner = getattr(import_module(module), function)(config, texts)
    return learner


def check_learner(name: str) -> None:
    """Refuse a name of no model that can be trained.

    Raises:
        UnknownNameError: names the nearest.
    """
    if name not in LEARNERS:
        raise UnknownNameError("model", name, LEARNERS)
