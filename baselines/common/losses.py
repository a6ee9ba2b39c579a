"""Losses shared by several models."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.common.prompt import IGNORE

DICE_SCALE = 1000.0
"""Divisor of both Dice terms in LISA, applied before adding 1e-6."""


def dense_losses(
    logits: Tensor, masks: Tensor, groups: Tensor | None = None, bce: float = 2.0, dice: float = 0.5
) -> dict[str, Tensor]:
    """Compute BCE and Dice over all pixels, weighted as in LISA (arXiv 2308.00692, section 3.2) and PixelLM.

    Args:
        logits: (B, h, w) logits; resized bilinearly to the masks.
        masks: (B, H, W) targets; any non-zero value is target.
        groups: (B,) int64 question or image of each mask; weights the BCE by `contested_weights`.
        bce: weight of the BCE.
        dice: weight of the Dice loss.

    Returns:
        `mask` and `dice`, weighted scalars.
    """
    target = (masks != 0).float()
    large = F.interpolate(logits.float().unsqueeze(1), size=target.shape[-2:], mode="bilinear", align_corners=False)
    large = large.squeeze(1)  # (B, H, W)
    weights = None if groups is None else contested_weights(large, groups)
    cross = F.binary_cross_entropy_with_logits(large, target, weight=weights)
    p, y = large.sigmoid().flatten(1), target.flatten(1)  # (B, H * W)
    overlap = 2 * (p / DICE_SCALE * y).sum(1)
    share = (overlap + 1e-6) / ((p / DICE_SCALE).sum(1) + (y / DICE_SCALE).sum(1) + 1e-6)
    return {"mask": bce * cross, "dice": dice * (1 - share).mean()}


def contested_weights(logits: Tensor, groups: Tensor, alpha: float = 2.0) -> Tensor:
    """Compute the pixel weights of PixelLM's target refinement loss (arXiv 2312.02228, section 3.3).

    Args:
        logits: (N, H, W) logits of all masks.
        groups: (N,) int64 question or image of each mask.
        alpha: weight of pixels claimed by two or more masks of a group; other pixels have weight 1.

    Returns:
        Weights (N, H, W) float32.
    """
    claimed = (logits.detach() > 0).float()
    same = (groups[:, None] == groups[None, :]).float()
    claims = torch.einsum("nm,mhw->nhw", same, claimed)
    return torch.where(claims >= 2, alpha, 1.0)


def presence_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Compute the BCE between logits (B,) and whether masks (B, H, W) have pixels. Not from a paper."""
    present = masks.flatten(1).any(1)  # (B,)
    return F.binary_cross_entropy_with_logits(logits.float(), present.float())


def language_loss(
    head: Callable[[Tensor], Tensor], states: Tensor, labels: Tensor, learned: Tensor | None = None
) -> Tensor:
    """Compute the mean next-token cross entropy over labels that are not -100; 0 if there are none.

    Args:
        head: output layer, from states to logits.
        states: (B, L, hidden) language states.
        labels: (B, L) int64 ids, -100 where nothing is learned.
        learned: (B, K) positions before a label, from the processor's `pad`. Logits are computed there only, and their
            number is not read from the device.
    """
    targets = F.pad(labels[:, 1:], (0, 1), value=IGNORE)  # (B, L)
    if learned is not None:
        states = states.gather(1, learned.unsqueeze(-1).expand(-1, -1, states.shape[-1]))  # (B, K, hidden)
        targets = targets.gather(1, learned)
    logits = head(states).flatten(0, 1).float()  # (B * K, vocabulary)
    total = F.cross_entropy(logits, targets.flatten(), ignore_index=IGNORE, reduction="sum")
    return total / (targets != IGNORE).sum().clamp(min=1)
