"""The optimizer, its rate, low-rank adapters and the running average of the weights."""

from __future__ import annotations

import copy
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import cast

import peft
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import PreTrainedModel

from baselines.training.config import LoraConfig, OptimConfig
from earthreason.errors import EarthReasonError

_BLOCK = re.compile(r"vision_tower\.layers\.(\d+)\.(?:blocks\.(\d+)\.)?")


def rate_at(step: int, steps: int, warmup_share: float) -> float:
    """Share of the learning rate at a step: linear warm-up, then a cosine to 0."""
    warmup = math.ceil(warmup_share * steps)
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def make_optimizer(model: nn.Module, config: OptimConfig, steps: int) -> tuple[torch.optim.AdamW, LambdaLR]:
    """AdamW over everything trainable, and its schedule."""
    groups = parameter_groups(model, config)
    optimizer = torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=config.betas, weight_decay=config.weight_decay, fused=config.fused
    )
    return optimizer, LambdaLR(optimizer, lambda step: rate_at(step, steps, config.warmup_share))


def parameter_groups(model: nn.Module, config: OptimConfig) -> list[dict[str, object]]:
    """Trainable parameters by learning rate: one group, or with `layer_decay` one per depth of the image encoder."""
    depths = vision_depths(model)
    top = max(depths.values(), default=0)
    groups: dict[int, list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            below = top - depths.get(name, top) if config.layer_decay < 1 else 0
            groups[below].append(parameter)
    return [
        {"params": parameters, "lr": config.learning_rate * config.layer_decay**below}
        for below, parameters in sorted(groups.items())
    ]


def vision_depths(model: nn.Module) -> dict[str, int]:
    """Depth of every parameter of the image encoder: 0 for the patch embedding, one more with every block."""
    places: dict[str, tuple[int, float]] = {}
    for name, _ in model.named_parameters():
        if name.startswith("vision_tower."):
            found = _BLOCK.match(name)
            if found:
                places[name] = (int(found[1]), math.inf if found[2] is None else int(found[2]))
            else:
                places[name] = (-1, 0) if "patch_embed" in name else (10**6, 0)
    order = {place: depth for depth, place in enumerate(sorted(set(places.values())))}
    return {name: order[place] for name, place in places.items()}


def add_adapters(model: PreTrainedModel, settings: LoraConfig, tokens: Sequence[int] = ()) -> None:
    """Put low-rank adapters into the language model and freeze the rest of it, but for the embeddings of `tokens`.

    Args:
        model: its part `language_model` gets them.
        settings: of the adapters.
        tokens: ids that pretraining never saw, such as that of `[SEG]`; their rows are random until trained.

    Raises:
        EarthReasonError: it has no layers of the given names.
    """
    language = cast(PreTrainedModel, model.language_model)
    config = peft.LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout,
        target_modules=list(settings.targets), trainable_token_indices=list(tokens) or None,
    )  # fmt: skip
    try:
        model.language_model = peft.get_peft_model(language, config)
    except ValueError:
        linear = {name.rpartition(".")[2] for name, module in language.named_modules() if isinstance(module, nn.Linear)}
        wanted = ", ".join(settings.targets)
        raise EarthReasonError(
            f"model.lora.targets: the language model has no {wanted}; its linear layers: {', '.join(sorted(linear))}"
        ) from None


def without_adapters(model: PreTrainedModel) -> PreTrainedModel:
    """A copy with adapters and trained embeddings merged into the weights; the model itself if it has none."""
    if not isinstance(model.language_model, peft.PeftModel):
        return model
    merged = copy.deepcopy(model)
    merged.language_model = cast(peft.PeftModel, merged.language_model).merge_and_unload()
    return merged


def average_of(model: PreTrainedModel, decay: float) -> AveragedModel:
    """A running average of the weights: after every step, decay * average + (1 - decay) * weights."""
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    return average.requires_grad_(False)
