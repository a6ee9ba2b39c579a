"""PSALM's losses (arXiv 2403.14598, section 3): every query is scored, the one that fits best learns the mask."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.segearth_r1.losses import MaskLossConfig, bce_loss, dice_loss, sample_points, uncertain_points

SCORE = 2.0
"""Weight of the score in loss and match."""


def match_losses(
    predictions: list[Tensor], scores: list[Tensor], masks: Tensor, config: MaskLossConfig | None = None
) -> dict[str, Tensor]:
    """Weighted losses summed over all steps of the decoder.

    With one target a question, the Hungarian match of the paper is the query of least cost. An empty target has none:
    there all scores are to be low.

    Args:
        predictions: logits (B, Q, h, w) of every step.
        scores: logits (B, Q) of every step.
        masks: (B, H, W), any non-zero value is target.
        config: weights and sampling of the mask losses.

    Returns:
        `score`, `mask` and `dice`, scalars with their weights.
    """
    config = config or MaskLossConfig()
    target = (masks != 0).unsqueeze(1).float()
    filled = target.flatten(1).any(1)  # (B,)
    totals = {name: torch.zeros((), device=masks.device) for name in ("score", "mask", "dice")}
    for logits, score in zip(predictions, scores, strict=True):
        matched = best_queries(logits.detach(), score.detach(), target, config)
        chosen = F.one_hot(matched, score.shape[1]).float() * filled[:, None]
        totals["score"] = totals["score"] + SCORE * score_loss(score, chosen)
        own = logits[torch.arange(len(logits), device=logits.device), matched].unsqueeze(1)[filled]
        if len(own):
            points = uncertain_points(own, config)
            sampled, labels = sample_points(own, points), sample_points(target[filled], points)
            totals["mask"] = totals["mask"] + config.bce * bce_loss(sampled, labels)
            totals["dice"] = totals["dice"] + config.dice * dice_loss(sampled, labels)
        else:  # keep the graph whole for processes that exchange gradients
            totals["mask"] = totals["mask"] + 0.0 * logits.sum()
    return totals


def score_loss(scores: Tensor, chosen: Tensor) -> Tensor:
    """BCE of scores (B, Q) against the match, positives weighted (N - n) / n for n positives among N."""
    positives = chosen.sum()
    weight = (chosen.numel() - positives) / positives.clamp(min=1)
    return F.binary_cross_entropy_with_logits(scores.float(), chosen, pos_weight=weight)


@torch.no_grad()
def best_queries(logits: Tensor, scores: Tensor, target: Tensor, config: MaskLossConfig) -> Tensor:
    """The query of least cost of every row: logits (B, Q, h, w), target (B, 1, H, W), to (B,) int64."""
    batch, queries = scores.shape
    points = torch.rand(batch, config.points, 2, device=logits.device)
    grid = (2 * points - 1).unsqueeze(2)
    sampled = F.grid_sample(logits.float(), grid, align_corners=False).squeeze(-1)
    labels = F.grid_sample(target, grid, align_corners=False).squeeze(-1).expand(-1, queries, -1)
    bce = F.binary_cross_entropy_with_logits(sampled, labels, reduction="none").mean(-1)
    p = sampled.sigmoid()
    dice = 1 - (2 * (p * labels).sum(-1) + 1) / (p.sum(-1) + labels.sum(-1) + 1)
    return (config.bce * bce + config.dice * dice - SCORE * scores.float().sigmoid()).argmin(1)
