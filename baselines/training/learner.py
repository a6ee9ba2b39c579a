"""Interface between a model and the training loop."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedConfig, PreTrainedModel

from earthreason.errors import EarthReasonError

from ..common.encoders import load_encoder
from ..common.languages import TextPart, Texts, make_text
from ..common.modeling import ReasoningModel
from ..common.predictor import MaskPredictor
from ..common.processing import Processor
from ..common.prompt import Task
from ..registry import MODELS, check_learner, load_reference
from .categories import CategoryMaps, TrainItem, on_features
from .config import ModelConfig, TrainConfig

Batch = dict[str, Tensor]
REPLAY_MULTIPLE = 64
"""Padding multiple of texts for replayed steps, which are recorded once per length."""


@dataclass(frozen=True)
class Collate:
    """Makes batches of items. Holds no model, as each process that loads data gets a copy.

    Attributes:
        processor: processor of the model.
        task: kind of question, which sets the wording of the prompts.
        multiple: texts are padded to a multiple of this length.
    """

    processor: Processor
    task: Task
    multiple: int = 1

    def __call__(self, items: Sequence[TrainItem]) -> Batch:
        """Make one batch on the CPU; `categories` is among it if the items have maps."""
        prompts = [self.processor.prompt(item["question"], self.task, item["answer"], reply=True) for item in items]
        batch = {
            "pixel_values": torch.stack([item["image"] for item in items]),
            "masks": torch.stack([item["mask"] for item in items]),
            **self.processor.pad(prompts, self.multiple),
        }
        if "categories" in items[0]:
            batch["categories"] = torch.stack([on_features(item["categories"]) for item in items])
        return batch


class Learner:
    """A model with its processor and predictor, for training."""

    def __init__(
        self, model: ReasoningModel, processor: Processor, predictor: type[MaskPredictor[Any]], config: TrainConfig
    ) -> None:
        """Wrap a model and freeze parts as configured.

        Args:
            model: model to train; has the parts `vision_tower` and `language_model`.
            processor: processor of the model.
            predictor: predictor class of the model.
            config: configuration of the run.
        """
        self.model, self.processor, self.predictor_class = model, processor, predictor
        self.task, self.batch_size, self.image_size = config.data.task, config.optim.micro_batch, processor.image_size
        model.config.task = self.task
        self.collate = Collate(processor, self.task, REPLAY_MULTIPLE if config.model.replay else 1)
        for part in (*model.never_trained, *(model.frozen_with_vision if config.model.freeze_vision else ())):
            model.get_submodule(part).requires_grad_(False)
        model.loss_config = replace(
            model.loss_config,
            dice_on_empty=config.optim.dice_on_empty,
            padding=config.optim.point_padding,
            points=config.optim.points,
            category=config.optim.category_weight,
            **chosen_weights(model, config),
        )
        language = model.get_submodule("language_model")
        if config.model.freeze_language:
            language.requires_grad_(False)
        if config.model.gradient_checkpointing:
            assert isinstance(language, PreTrainedModel)
            language.gradient_checkpointing_enable()

    def predictor(self, model: PreTrainedModel) -> MaskPredictor[Any]:
        """Make a predictor of `model`, which has the class of `self.model`."""
        return self.predictor_class(model, self.processor, self.batch_size, self.task)

    def save(self, model: PreTrainedModel, folder: Path) -> None:
        """Write a checkpoint for `earthreason-baselines predict`, without the parts that only training uses."""
        model.save_pretrained(folder, state_dict=saved_weights(model))
        self.processor.save_pretrained(folder)


def chosen_weights(model: ReasoningModel, config: TrainConfig) -> dict[str, float]:
    """List the loss weights of a configuration that replace the model's own.

    Raises:
        EarthReasonError: the model has no such loss.
    """
    given: dict[str, float] = config.optim.loss_weights.model_dump(exclude_none=True)
    has = [*model.mask_weights, *["language"] * model.learns_replies, *["presence"] * (model.presence is not None)]
    if lacking := sorted(given.keys() - set(has)):
        name = config.model.name
        raise EarthReasonError(
            f"optim.loss_weights.{lacking[0]}: {name} has no such loss here (it has: {', '.join(has)})"
        )
    return given


def saved_weights(model: PreTrainedModel) -> dict[str, Tensor]:
    """Return the weights of a model without its `trained_only` parts."""
    parts = tuple(f"{part}." for part in getattr(model, "trained_only", ()))
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(parts)}


def assemble(
    config: TrainConfig,
    texts: Texts,
    predictor: type[MaskPredictor[Any]],
    fixed: Sequence[str],
    configure: Callable[[TextPart], PreTrainedConfig],
) -> Learner:
    """Make a learner from a checkpoint or with a new model.

    Args:
        config: configuration of the run.
        texts: function that returns the training texts, for learned tokenizers.
        predictor: predictor class, which names the classes of the model.
        fixed: texts that occur in every prompt, for learned tokenizers.
        configure: function that makes the configuration of a new model from its language model's.

    Raises:
        EarthReasonError: checkpoint or language model cannot be loaded, or the checkpoint does not match `config`.
    """
    if config.model.checkpoint is not None:
        return _from_checkpoint(config, predictor, config.model.checkpoint)
    settings = config.model
    tokens = predictor.processor_class.tokens
    text = make_text(settings.size, settings.tokenizer, settings.language_model, tokens, fixed, texts)
    model_config = configure(text)
    encoder = None if settings.vision is None else load_encoder(settings.vision)
    if encoder is not None:
        for key, value in encoder.settings.items():
            setattr(model_config, key, value)
    model = _new_model(predictor, model_config, config.seed)
    text.load_into(model)
    if encoder is not None:
        model.get_submodule("vision_tower").load_state_dict(encoder.weights)
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
        weights = resized(weights, model.state_dict())
        model.load_state_dict(weights, strict=False, assign=True)  # parts that the checkpoint lacks stay new
        processor = predictor.processor_class.for_model(model_config, processor.tokenizer)
    return Learner(model, processor, predictor, config)


def resized(weights: dict[str, Tensor], others: dict[str, Tensor]) -> dict[str, Tensor]:
    """Resize weights with an axis for each row and column, bilinearly, to the sides they have at another image size.

    Args:
        weights: weights of a checkpoint.
        others: weights of the same model at the other size; (C, h, w) where the sides differ.
    """

    def fit(name: str, tensor: Tensor) -> Tensor:
        if name not in others or tensor.shape == others[name].shape:
            return tensor
        sides = others[name].shape[-2:]
        return F.interpolate(tensor.unsqueeze(0), size=sides, mode="bilinear", align_corners=False).squeeze(0)

    return {name: fit(name, tensor) for name, tensor in weights.items()}


def changes_of(settings: ModelConfig, made: PreTrainedConfig) -> dict[str, Any]:
    """List the settings of a run that differ from the configuration `made` of its checkpoint.

    Raises:
        EarthReasonError: a setting differs that the checkpoint's weights fix.
    """
    wanted = settings.architecture.model_dump(exclude_none=True)
    if settings.image_size is not None:
        wanted["image_size"] = settings.image_size
    changes = {key: value for key, value in wanted.items() if value != getattr(made, key)}
    for key, value in changes.items():
        if key not in MODELS[settings.name].adaptable or value is False:  # a head can be added but not removed
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
    if config.model.vision is not None and "vision" not in entry.architecture:
        raise EarthReasonError(f"model.vision: {name} has its own image encoder, which cannot be replaced")
    if config.model.vision is not None and config.model.checkpoint is not None:
        raise EarthReasonError(
            "model.vision: the checkpoint has an image encoder; leave model.vision or model.checkpoint out"
        )
    learner: Learner = load_reference(str(entry.learner))(config, texts)
    if config.data.category_maps:
        add_category_head(learner.model, len(CategoryMaps.of(config.data).names), config.seed)
    return learner


def add_category_head(model: ReasoningModel, categories: int, seed: int) -> None:
    """Add a 1x1 convolution that predicts one of `categories` for each pixel of the mask features.

    Raises:
        EarthReasonError: the model has no mask features to predict them from.
    """
    width = model.category_width()
    if width is None:
        raise EarthReasonError(f"data.category_maps: {type(model).__name__} can have no category head; leave it out")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model.category_head = nn.Conv2d(width, categories, kernel_size=1)
