"""Masked-attention decoder of Mask2Former (arXiv 2112.01527) without a class head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .configuration import SegEarthR1Config
from .pixel_decoder import LEVELS, sine_positions


class DecoderLayer(nn.Module):
    """Cross-attention inside the current mask, self-attention and MLP; a LayerNorm after each residual."""

    def __init__(self, dim: int, heads: int, ffn: int) -> None:
        super().__init__()
        self.cross_attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.cross_norm = nn.LayerNorm(dim)
        self.self_attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.self_norm = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, ffn)
        self.linear2 = nn.Linear(ffn, dim)
        self.ffn_norm = nn.LayerNorm(dim)

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, blocked: Tensor, positions: Tensor | None = None
    ) -> Tensor:
        """Refine queries (B, Q, D) by keys and values (B, N, D) that are not blocked (B * heads, Q, N): (B, Q, D).

        `positions` (Q, D) are added to the queries, and to the keys of the self-attention, but to no values.
        """
        placed = query if positions is None else query + positions
        attended, _ = self.cross_attention(placed, keys, values, attn_mask=blocked, need_weights=False)
        query = self.cross_norm(query + attended)
        placed = query if positions is None else query + positions
        # A single query attends only to itself, but value and output projection still change it.
        attended, _ = self.self_attention(placed, placed, query, need_weights=False)
        query = self.self_norm(query + attended)
        return self.ffn_norm(query + self.linear2(F.relu(self.linear1(query))))


class MaskDecoder(nn.Module):
    """Refines the query level by level and predicts a mask before the first and after each layer."""

    def __init__(self, config: SegEarthR1Config) -> None:
        super().__init__()
        dim = config.decoder_dim
        self.heads = config.decoder_heads
        self.level_embed = nn.Parameter(torch.empty(LEVELS, dim).normal_())
        self.layers = nn.ModuleList(
            DecoderLayer(dim, config.decoder_heads, config.mask_decoder_ffn) for _ in range(config.mask_decoder_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.mask_embed = nn.Sequential(
            nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim)
        )

    def forward(
        self, query: Tensor, mask_features: Tensor, memories: list[Tensor], positions: Tensor | None = None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Decode queries (B, Q, D) with mask features (B, D, h, w) and memories (B, D, h, w), coarse to fine.

        Args:
            query: queries before the first layer.
            mask_features: features that each query is compared with.
            memories: image features that the layers attend to.
            positions: (Q, D) learned positions of the queries; None for SegEarth-R1, whose query has none.

        Returns:
            Mask logits (B, Q, h, w) and normalised queries (B, Q, D) of each step.
        """
        values, keys = [], []
        for memory, embed in zip(memories, self.level_embed, strict=True):
            value = memory.flatten(2).transpose(1, 2) + embed  # (B, N, D)
            _, dim, height, width = memory.shape
            code = sine_positions(height, width, dim, memory.device).flatten(2).transpose(1, 2)  # (1, N, D)
            values.append(value)
            keys.append(value + code.to(value.dtype))
        queries = [self.norm(query)]
        logits = [self._predict(queries[-1], mask_features)]
        for number, layer in enumerate(self.layers):
            level = number % LEVELS
            blocked = self._blocked(logits[-1], memories[level].shape[-2:])
            query = layer(query, keys[level], values[level], blocked, positions)
            queries.append(self.norm(query))
            logits.append(self._predict(queries[-1], mask_features))
        return logits, queries

    def _predict(self, query: Tensor, mask_features: Tensor) -> Tensor:
        return torch.einsum("bqd,bdhw->bqhw", self.mask_embed(query), mask_features)

    def _blocked(self, logits: Tensor, shape: torch.Size) -> Tensor:
        """Return the positions outside the current mask, or none if it is empty: (B * heads, Q, positions) bool."""
        resized = F.interpolate(logits.detach().float(), size=shape, mode="bilinear", align_corners=False)
        blocked = resized.flatten(2).sigmoid() < 0.5  # (B, Q, N)
        blocked = blocked & ~blocked.all(-1, keepdim=True)
        return blocked.repeat_interleave(self.heads, dim=0)  # (B * heads, Q, N)
