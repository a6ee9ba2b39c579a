"""Optimizer, learning rates, low-rank adapters and running average of the weights."""

from __future__ import annotations

import copy
import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import cast

import peft
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import PreTrainedModel

from earthreason.errors import EarthReasonError

from .config import LoraConfig, OptimConfig

_VISION = re.compile(r"vision_tower\.(?P<encoder>(?:clip\.|sam\.)?)(?P<part>.+)")  # LISA has two encoders
_NUMBER = re.compile(r"\b(?:stages|layers?|blocks)\.(\d+)")
_FIRST = re.compile(r"(?:body\.)?(?:patch_embed\b|pos_embed\b|embeddings\b|embedder\b|pre_layrnorm\b|stem\b)")


def make_optimizer(
    model: nn.Module, config: OptimConfig, rate: Callable[[int], float]
) -> tuple[torch.optim.AdamW, LambdaLR]:
    """Make AdamW over the trainable parameters, and its schedule; `rate` maps a step to a factor of the rate."""
    groups = parameter_groups(model, config)
    optimizer = torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=config.betas, weight_decay=config.weight_decay, fused=config.fused
    )
    return optimizer, LambdaLR(optimizer, rate)


def parameter_groups(model: nn.Module, config: OptimConfig) -> list[dict[str, object]]:
    """Group trainable parameters by learning rate: with `layer_decay` one group per image encoder block, else one."""
    distances = vision_distances(model) if config.layer_decay < 1 else {}
    groups: dict[int, list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[distances.get(name, 0)].append(parameter)
    return [
        {"params": parameters, "lr": config.learning_rate * config.layer_decay**below}
        for below, parameters in sorted(groups.items())
    ]


def vision_distances(model: nn.Module) -> dict[str, int]:
    """Return the distance of image encoder parameters from its output: 0 after the last block, one more per block.

    Patch and position embeddings are farthest. Understands the names of our encoders and of those of transformers.
    """
    encoders: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for name, _ in model.named_parameters():
        if match := _VISION.match(name):
            encoders[match["encoder"]][name] = _place(match["part"])
    distances: dict[str, int] = {}
    for places in encoders.values():
        order = {place: distance for distance, place in enumerate(sorted(set(places.values()), reverse=True))}
        distances |= {name: order[place] for name, place in places.items()}
    return distances


def _place(part: str) -> tuple[float, float]:
    """Return stage and block of an encoder parameter, which sort from the pixels to the output."""
    if _FIRST.match(part):
        return -1, 0
    stage, block, *_ = [*map(int, _NUMBER.findall(part)), math.inf, math.inf]
    return stage, block


def add_adapters(model: PreTrainedModel, settings: LoraConfig, tokens: Sequence[int] = ()) -> None:
    """Add low-rank adapters to the language model and freeze the rest of it, except the embeddings of `tokens`.

    Args:
        model: model whose `language_model` gets the adapters.
        settings: settings of the adapters.
        tokens: ids added after pretraining, such as that of `[SEG]`, whose embeddings are untrained.

    Raises:
        EarthReasonError: the language model has no layers of the given names.
    """
    language = cast(PreTrainedModel, model.language_model)
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets),
        trainable_token_indices=list(tokens) or None,
    )
    try:
        model.language_model = peft.get_peft_model(language, config)
    except ValueError:
        linear = {name.rpartition(".")[2] for name, module in language.named_modules() if isinstance(module, nn.Linear)}
        wanted = ", ".join(settings.targets)
        raise EarthReasonError(
            f"model.lora.targets: the language model has no {wanted}; its linear layers: {', '.join(sorted(linear))}"
        ) from None


def without_adapters(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy with adapters and trained embeddings merged, or the model itself if it has no adapters."""
    if not isinstance(model.language_model, peft.PeftModel):
        return model
    merged = copy.deepcopy(model)
    merged.language_model = cast(peft.PeftModel, merged.language_model).merge_and_unload()
    return merged


def average_of(model: PreTrainedModel, decay: float) -> AveragedModel:
    """Make a running average of the weights: after each step, decay * average + (1 - decay) * weights."""
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    return average.requires_grad_(False)
