"""From token ids and visual tokens to language states, and from those to the one or few that make a mask."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers.utils.generic import ModelOutput

from baselines.common.prompt import IMAGE_ID


@dataclass
class MaskOutput(ModelOutput):
    """What a model returns for questions about images.

    Attributes:
        loss: sum of `losses`, if masks or labels were given.
        losses: by name, each with its weight.
        mask_logits: (B, h, w), a fraction of the canvas; target where above 0.
        presence_logits: (B,), above 0 where something answers; None without a no-target head.
    """

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    mask_logits: Tensor | None = None
    presence_logits: Tensor | None = None


def total_of(losses: dict[str, Tensor]) -> Tensor | None:
    """Their sum; None if there are none."""
    return torch.stack(list(losses.values())).sum() if losses else None


def splice(embeddings: nn.Module, input_ids: Tensor, visual_tokens: Tensor) -> Tensor:
    """Embed token ids (B, L) and put visual tokens (B, N, D), in order, where the id is `IMAGE_ID`: (B, L, D)."""
    is_image = input_ids == IMAGE_ID
    words = embeddings(input_ids.clamp(min=0))
    number = (is_image.cumsum(1) - 1).clamp(min=0).unsqueeze(-1).expand(-1, -1, visual_tokens.shape[-1])
    return torch.where(is_image.unsqueeze(-1), visual_tokens.gather(1, number).to(words.dtype), words)


def states_at(states: Tensor, selected: Tensor, count: int) -> Tensor:
    """States (B, L, D) of the selected positions (B, L), `count` a row: (B, count, D)."""
    return states[selected].view(len(states), count, -1)


def query_head(hidden: int, dim: int) -> nn.Sequential:
    """LISA's head from a language state to a mask query."""
    return nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, dim), nn.Dropout(0.0))
