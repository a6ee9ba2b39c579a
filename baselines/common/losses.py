"""Losses shared by several models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from .prompt import IGNORE

UNMAPPED = 255
"""Value of a category map where nothing is learned."""
PointPadding = Literal["zeros", "border"]


@dataclass(frozen=True)
class LossOptions:
    """Weights and options of the losses; the defaults are those of the papers' code, and LISA's for the masks.

    Attributes:
        bce, dice: weights of the mask losses.
        language: weight of the next-token loss.
        presence: weight of the loss of a no-target head, which is in no paper.
        dice_on_empty: whether samples with an empty target have a Dice loss.
        padding: what bilinear sampling reads outside a map, where losses sample points.
        points: number of points sampled per mask; the papers' suits canvases of 1,024 px.
        category: weight of the loss on predicted categories, for models with a category head.
    """

    bce: float = 2.0
    dice: float = 0.5
    language: float = 1.0
    presence: float = 1.0
    dice_on_empty: bool = True
    padding: PointPadding = "zeros"
    points: int = 12_544
    category: float = 1.0


DICE_SCALE = 1000.0
"""Divisor of both Dice terms in LISA, applied before adding 1e-6."""


def dense_losses(
    logits: Tensor,
    masks: Tensor,
    groups: Tensor | None = None,
    options: LossOptions | None = None,
) -> dict[str, Tensor]:
    """Compute BCE and Dice over all pixels, as in LISA (arXiv 2308.00692, section 3.2) and PixelLM.

    Args:
        logits: (B, h, w) logits; resized bilinearly to the masks.
        masks: (B, H, W) targets; any non-zero value is target.
        groups: (B,) int64 question or image of each mask; weights the BCE by `contested_weights`.
        options: weights, and whether empty targets have a Dice loss; without, theirs is 0, and the mean is over all
            targets.

    Returns:
        `mask` and `dice`, weighted scalars.
    """
    options = options or LossOptions()
    target = (masks != 0).float()
    large = F.interpolate(logits.float().unsqueeze(1), size=target.shape[-2:], mode="bilinear", align_corners=False)
    large = large.squeeze(1)  # (B, H, W)
    weights = None if groups is None else contested_weights(large, groups)
    cross = F.binary_cross_entropy_with_logits(large, target, weight=weights)
    p, y = large.sigmoid().flatten(1), target.flatten(1)  # (B, H * W)
    overlap = 2 * (p / DICE_SCALE * y).sum(1)
    share = (overlap + 1e-6) / ((p / DICE_SCALE).sum(1) + (y / DICE_SCALE).sum(1) + 1e-6)
    missed = 1 - share if options.dice_on_empty else (1 - share) * y.any(1)
    return {"mask": options.bce * cross, "dice": options.dice * missed.mean()}


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


def category_loss(logits: Tensor, categories: Tensor) -> Tensor:
    """Compute the mean cross entropy of logits (B, C, h, w) against maps (B, h, w) of indices, 0 if all are unmapped.

    Pixels with the value `UNMAPPED` count for nothing. Not from a paper.
    """
    target = categories.long()
    total = F.cross_entropy(logits.float(), target, ignore_index=UNMAPPED, reduction="sum")
    return total / (target != UNMAPPED).sum().clamp(min=1)


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
