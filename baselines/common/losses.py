"""Losses that several models share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.common.prompt import IGNORE

DICE_SCALE = 1000.0
"""LISA divides both terms of Dice by it before it adds 1e-6."""


def dense_losses(
    logits: Tensor, masks: Tensor, bce: float = 2.0, dice: float = 0.5, weights: Tensor | None = None
) -> dict[str, Tensor]:
    """BCE and Dice over all pixels, as LISA and PixelLM weight them (LISA, arXiv 2308.00692, section 3.2).

    Args:
        logits: (B, h, w); enlarged bilinearly to the masks.
        masks: (B, H, W), any non-zero value is target.
        bce: weight of the cross entropy.
        dice: weight of Dice.
        weights: (B, H, W) of every pixel in the cross entropy; 1 without.

    Returns:
        `mask` and `dice`, scalars with their weights.
    """
    target = (masks != 0).float()
    large = F.interpolate(logits.float().unsqueeze(1), size=target.shape[-2:], mode="bilinear", align_corners=False)
    large = large.squeeze(1)
    cross = F.binary_cross_entropy_with_logits(large, target, weight=weights)
    p, y = large.sigmoid().flatten(1), target.flatten(1)
    overlap = 2 * (p / DICE_SCALE * y).sum(1)
    share = (overlap + 1e-6) / ((p / DICE_SCALE).sum(1) + (y / DICE_SCALE).sum(1) + 1e-6)
    return {"mask": bce * cross, "dice": dice * (1 - share).mean()}


def contested_weights(logits: Tensor, groups: Tensor, alpha: float = 2.0) -> Tensor:
    """Weights of PixelLM's target refinement loss (arXiv 2312.02228, section 3.3).

    Args:
        logits: (N, H, W) of all masks.
        groups: (N,) int64, the question or image that a mask belongs to.
        alpha: weight of pixels that two or more masks of a group claim; others weigh 1.

    Returns:
        (N, H, W) float32.
    """
    claimed = (logits.detach() > 0).float()
    same = (groups[:, None] == groups[None, :]).float()
    claims = torch.einsum("nm,mhw->nhw", same, claimed)
    return torch.where(claims >= 2, alpha, 1.0)


def presence_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """BCE of whether a mask (B, H, W) has any pixel, from logits (B,). In no paper; for the no-target head."""
    present = masks.flatten(1).any(1)
    return F.binary_cross_entropy_with_logits(logits.float(), present.float())


def language_loss(
    head: Callable[[Tensor], Tensor], states: Tensor, labels: Tensor, learned: Tensor | None = None
) -> Tensor:
    """Mean cross entropy of the next token over labels that are not -100; 0 where there are none.

    Args:
        head: states to logits.
        states: (B, L, hidden).
        labels: (B, L).
        learned: (B, K) positions before a label that is not -100, as the processor's `pad` gives them. The head is
            then called on these alone, whose logits are a fraction of all; nothing waits for the device to count them.
    """
    targets = F.pad(labels[:, 1:], (0, 1), value=IGNORE)  # (B, L)
    if learned is not None:
        states = states.gather(1, learned.unsqueeze(-1).expand(-1, -1, states.shape[-1]))  # (B, K, hidden)
        targets = targets.gather(1, learned)
    logits = head(states).flatten(0, 1).float()  # (B * K, vocabulary)
    total = F.cross_entropy(logits, targets.flatten(), ignore_index=IGNORE, reduction="sum")
    return total / (targets != IGNORE).sum().clamp(min=1)
