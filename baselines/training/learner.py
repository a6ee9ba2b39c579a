"""A model as the training loop sees it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from baselines.registry import MODELS, check_learner, load_reference
from baselines.training.config import ModelConfig, TrainConfig
from earthreason.errors import EarthReasonError
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
        if key not in MODELS[settings.name].adaptable or value is False:  # a head is added, never taken away
            part = "" if key == "image_size" else "architecture."
            raise EarthReasonError(
                f"model.{part}{key}={value}: {settings.checkpoint} was made with {getattr(made, key)}, which is "
                "fixed in its weights; leave the option out, or leave model.checkpoint out for a new model"
            )
    return changes


def build_learner(config: TrainConfig, texts: Texts) -> Learner:
    """Build the learner of the model that a configuration names.

    Raises:
        UnknownNameError: there is no such model; the message names the nearest.
        EarthReasonError: the weights cannot be loaded, or `model.architecture` names a part that the model does not
            have, or one that differs from the checkpoint and can no longer be changed.
    """
    name = config.model.name
    check_learner(name)
    entry = MODELS[name]
    wanted = config.model.architecture.model_dump(exclude_none=True)
    lacking = sorted(set(wanted) - entry.architecture)
    if lacking:
        has = ", ".join(sorted(entry.architecture))
        raise EarthReasonError(f"model.architecture.{lacking[0]}: {name} has no such part (it has: {has})")
    learner: Learner = load_reference(str(entry.learner))(config, texts)
    return learner
