"""PSALM's losses (arXiv 2403.14598, section 3): all queries learn a score, the best match learns the mask.

As in the published code, whose match compares masks alone: the cost of the score is commented out there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..segearth_r1.losses import MaskLossConfig, bce_loss, dice_loss, sample_points, uncertain_points


@dataclass(frozen=True)
class PsalmLossConfig(MaskLossConfig):
    """Weights and sampling of the losses.

    Attributes:
        score: weight of the loss of the scores.
    """

    score: float = 2.0


def match_losses(
    predictions: list[Tensor], scores: list[Tensor], masks: Tensor, config: PsalmLossConfig | None = None
) -> dict[str, Tensor]:
    """Compute the weighted losses, summed over all decoder steps.

    Every step is matched on its own. With one target per question, the Hungarian match is the query of lowest cost. An
    empty target has no match, and all its scores learn to be low; the published code has no empty targets.

    Args:
        predictions: mask logits (B, Q, h, w) of each step.
        scores: score logits (B, Q) of each step.
        masks: (B, H, W) targets; any non-zero value is target.
        config: weights and sampling of the losses; the weights of the mask losses are also those of the matching cost.

    Returns:
        `score`, `mask` and `dice`, weighted scalars.
    """
    config = config or PsalmLossConfig()
    target = (masks != 0).unsqueeze(1).float()  # (B, 1, H, W)
    filled = target.flatten(1).any(1)  # (B,)
    totals = {name: torch.zeros((), device=masks.device) for name in ("score", "mask", "dice")}
    for logits, score in zip(predictions, scores, strict=True):
        matched = best_queries(logits.detach(), target, config)
        chosen = F.one_hot(matched, score.shape[1]).float() * filled[:, None]
        totals["score"] = totals["score"] + config.score * score_loss(score, chosen)
        own = logits[torch.arange(len(logits), device=logits.device), matched].unsqueeze(1)[filled]  # (filled, 1, h, w)
        if len(own):
            points = uncertain_points(own, config)
            sampled, labels = (sample_points(maps, points, config.padding) for maps in (own, target[filled]))
            totals["mask"] = totals["mask"] + config.bce * bce_loss(sampled, labels)
            totals["dice"] = totals["dice"] + config.dice * dice_loss(sampled, labels)
        else:  # all processes that exchange gradients need the same graph
            totals["mask"] = totals["mask"] + 0.0 * logits.sum()
    return totals


def score_loss(scores: Tensor, chosen: Tensor) -> Tensor:
    """Compute the BCE of scores (B, Q) against the matches, weighting n positives among N by (N - n) / n."""
    positives = chosen.sum()
    weight = (chosen.numel() - positives) / positives.clamp(min=1)
    return F.binary_cross_entropy_with_logits(scores.float(), chosen, pos_weight=weight)


@torch.no_grad()
def best_queries(logits: Tensor, target: Tensor, config: MaskLossConfig) -> Tensor:
    """Return the query of lowest cost per row (B,) int64 from logits (B, Q, h, w) and targets (B, 1, H, W)."""
    points = torch.rand(len(logits), config.points, 2, device=logits.device)
    grid = (2 * points - 1).unsqueeze(2)  # (B, P, 1, 2)
    sampled, labels = (
        F.grid_sample(maps.float(), grid, padding_mode=config.padding, align_corners=False).squeeze(-1)
        for maps in (logits, target)
    )  # (B, Q, P) and (B, 1, P)
    labels = labels.expand_as(sampled)  # (B, Q, P)
    bce = F.binary_cross_entropy_with_logits(sampled, labels, reduction="none").mean(-1)
    p = sampled.sigmoid()
    dice = 1 - (2 * (p * labels).sum(-1) + 1) / (p.sum(-1) + labels.sum(-1) + 1)
    return (config.bce * bce + config.dice * dice).argmin(1)
