"""SegEarth-R1 as the training loop sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from baselines.common.languages import load_language
from baselines.segearth_r1.configuration import SegEarthR1Config
from baselines.segearth_r1.modeling import SegEarthR1Model
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.segearth_r1.processing import SegEarthR1Processor, add_tokens
from baselines.segearth_r1.prompt import Task, fixed_texts
from baselines.segearth_r1.tiny import byte_tokenizer, learned_tokenizer, small_parts, tiny_config
from baselines.training.config import ModelConfig, TrainConfig
from baselines.training.learner import Batch, Texts
from earthreason.torch import Item


class SegEarthR1Learner:
    """A `Learner` of model and processor."""

    def __init__(self, model: SegEarthR1Model, processor: SegEarthR1Processor, task: Task, batch_size: int) -> None:
        self.model: PreTrainedModel = model
        self.processor, self.task, self.batch_size = processor, task, batch_size
        self.image_size = processor.image_size

    def collate(self, items: Sequence[Item]) -> Batch:
        prompts = [self.processor.prompt(item["question"], self.task, item["answer"], reply=True) for item in items]
        return {
            "pixel_values": torch.stack([item["image"] for item in items]),
            "masks": torch.stack([item["mask"] for item in items]),
            **self.processor.pad(prompts),
        }

    def predictor(self, model: PreTrainedModel) -> SegEarthR1Predictor:
        assert isinstance(model, SegEarthR1Model)
        return SegEarthR1Predictor(model, self.processor, self.batch_size, self.task)

    def save(self, model: PreTrainedModel, folder: Path) -> None:
        model.save_pretrained(folder)
        self.processor.save_pretrained(folder)


def build(config: TrainConfig, texts: Texts) -> SegEarthR1Learner:
    """Entry of the learner registry.

    Raises:
        EarthReasonError: the checkpoint or language model cannot be loaded.
    """
    settings = config.model
    if settings.checkpoint is not None:
        loaded = SegEarthR1Predictor.from_pretrained(settings.checkpoint)
        model, processor = loaded.model, loaded.processor
    else:
        model, processor = make_model(settings, texts, config.seed)
    if settings.freeze_vision:
        model.vision_tower.requires_grad_(False)
    if settings.freeze_language:
        model.language_model.requires_grad_(False)
    if settings.gradient_checkpointing:
        model.language_model.gradient_checkpointing_enable()
    return SegEarthR1Learner(model, processor, config.data.task, config.optim.micro_batch)


def make_model(settings: ModelConfig, texts: Texts, seed: int) -> tuple[SegEarthR1Model, SegEarthR1Processor]:
    """A new model: from scratch, or around a pretrained language model.

    Raises:
        EarthReasonError: the language model cannot be loaded.
    """
    changes: dict[str, Any] = settings.architecture.model_dump(exclude_none=True)
    tokenizer: PreTrainedTokenizerBase
    if settings.language_model is not None:
        language = load_language(settings.language_model)
        tokenizer, seg = language.tokenizer, add_tokens(language.tokenizer)
        language.resize(len(tokenizer))
        config = SegEarthR1Config(
            text_config=language.config,
            image_size=settings.image_size,
            seg_token_id=seg,
            **{**small_parts(), **changes},
        )
    else:
        language = None
        tokenizer = byte_tokenizer() if settings.tokenizer == "bytes" else learned_tokenizer([*fixed_texts(), *texts()])
        seg = add_tokens(tokenizer)
        config = tiny_config(len(tokenizer), seg, settings.image_size, settings.size, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = SegEarthR1Model(config)
    if language is not None:
        model.language_model.load_state_dict(language.base)
        model.lm_head.load_state_dict({"weight": language.head})
    return model, SegEarthR1Processor.for_model(config, tokenizer)
