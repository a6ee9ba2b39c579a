"""Losses of SegEarth-R1: point-sampled BCE and Dice on each predicted mask (code of arXiv 2504.09644)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..common.losses import LossOptions, PointPadding


@dataclass(frozen=True)
class MaskLossConfig(LossOptions):
    """Weights and sampling of the mask losses; the defaults are the published ones.

    Attributes:
        bce, dice: weights of the losses.
        oversampling: candidates drawn per sampled point.
        uncertain_share: share of the points taken where the prediction is least certain.
    """

    bce: float = 5.0
    dice: float = 5.0
    oversampling: float = 3.0
    uncertain_share: float = 0.75


def sample_points(maps: Tensor, points: Tensor, padding: PointPadding = "zeros") -> Tensor:
    """Sample maps (N, 1, H, W) bilinearly at points (N, P, 2), fractions with x before y: (N, P) float32.

    Within half a pixel of the edge, sampling reads outside the map. With `zeros`, as in the reference, values fall to
    half of the pixel's at the edge and a quarter in the corner; with `border` they are the pixel's own.
    """
    grid = (2 * points - 1).unsqueeze(2)  # (N, P, 1, 2)
    sampled = F.grid_sample(maps.float(), grid, mode="bilinear", padding_mode=padding, align_corners=False)
    return sampled.flatten(1)  # (N, P)


@torch.no_grad()
def uncertain_points(logits: Tensor, config: MaskLossConfig) -> Tensor:
    """Choose points of small |logit|, and uniform ones for the rest (PointRend, arXiv 1912.08193, section 3.1).

    Args:
        logits: (N, 1, h, w) mask logits.
        config: number of points and their sampling.

    Returns:
        Points (N, points, 2), fractions with x before y.
    """
    count = logits.shape[0]
    candidates = torch.rand(count, int(config.points * config.oversampling), 2, device=logits.device)
    certainty = sample_points(logits, candidates, config.padding).abs()
    kept = int(config.points * config.uncertain_share)
    nearest = certainty.topk(kept, dim=1, largest=False).indices
    chosen = candidates.gather(1, nearest.unsqueeze(-1).expand(-1, -1, 2))  # (N, kept, 2)
    uniform = torch.rand(count, config.points - kept, 2, device=logits.device)
    return torch.cat([chosen, uniform], dim=1)


def bce_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the mean BCE over logits (N, P) and labels (N, P) from 0 to 1."""
    return F.binary_cross_entropy_with_logits(logits, labels)


def dice_loss(logits: Tensor, labels: Tensor, counted: Tensor | None = None) -> Tensor:
    """Compute 1 - (2 sum(p y) + 1) / (sum p + sum y + 1), averaged over masks (arXiv 1606.04797, smoothing 1).

    Args:
        logits: (N, P) logits at the points of each mask.
        labels: (N, P) target at the points, from 0 to 1.
        counted: (N,) bool, False for masks whose loss is 0; they count in the mean, so that the weight of a mask does
            not depend on the others. None counts all.
    """
    p = logits.sigmoid()
    overlap = 2 * (p * labels).sum(1) + 1
    missed = 1 - overlap / (p.sum(1) + labels.sum(1) + 1)
    return (missed if counted is None else missed * counted).mean()


def mask_losses(predictions: list[Tensor], masks: Tensor, config: MaskLossConfig | None = None) -> dict[str, Tensor]:
    """Compute the weighted losses, summed over all decoder steps.

    Args:
        predictions: mask logits (B, 1, h, w) of each step.
        masks: (B, H, W) targets; any non-zero value is target.
        config: weights and sampling.

    Returns:
        `mask` (BCE) and `dice`, weighted scalars.
    """
    config = config or MaskLossConfig()
    steps, batch = len(predictions), len(masks)
    target = (masks != 0).unsqueeze(1).float()  # (B, 1, H, W)
    logits = torch.cat(predictions)  # (steps * B, 1, h, w); all steps in one set of kernels
    points = uncertain_points(logits, config)  # (steps * B, P, 2)
    of_mask = points.view(steps, batch, -1, 2).transpose(0, 1).flatten(1, 2)  # (B, steps * P, 2)
    labels = sample_points(target, of_mask, config.padding).view(batch, steps, -1)  # (B, steps, P)
    labels = labels.transpose(0, 1).flatten(0, 1)  # (steps * B, P)
    sampled = sample_points(logits, points, config.padding)  # (steps * B, P)
    counted = None if config.dice_on_empty else target.flatten(1).any(1).repeat(steps)  # (steps * B,)
    # The mean over all steps times their number is the sum of their means.
    return {
        "mask": config.bce * steps * bce_loss(sampled, labels),
        "dice": config.dice * steps * dice_loss(sampled, labels, counted),
    }
