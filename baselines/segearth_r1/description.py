"""Make the query of the mask decoder from the language states of the question (the paper's D-Projector)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .configuration import SegEarthR1Config


def mean_over(states: Tensor, selected: Tensor) -> Tensor:
    """Average states (B, L, D) over the selected positions (B, L) bool: (B, D), summed in float32."""
    weights = selected.to(torch.float32)
    # Not a matrix product, which autocast would run in bfloat16.
    total = (states.float() * weights.unsqueeze(-1)).sum(1)  # (B, D)
    return (total / weights.sum(1, keepdim=True).clamp(min=1)).to(states.dtype)


def last_of(states: Tensor, selected: Tensor) -> Tensor:
    """Return the state at the last selected position, that of `[SEG]`: (B, L, D) and (B, L) bool to (B, D)."""
    last = (selected * torch.arange(1, selected.shape[1] + 1, device=selected.device)).argmax(1)
    return states[torch.arange(len(states), device=states.device), last]


class DProjector(nn.Module):
    """One perceiver layer (arXiv 2204.14198, section 3.1): the description attends to the image and to itself.

    The reference code passes each question token as a latent, but uses only the pooled one, which never attends to the
    others; so there is one latent here.
    """

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * head_dim
        self.norm_image = nn.LayerNorm(dim)
        self.norm_latent = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_kv = nn.Linear(dim, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, dim, bias=False)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, dim, bias=False), nn.GELU(), nn.Linear(dim, dim, bias=False)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, latent: Tensor, image: Tensor) -> Tensor:
        """Refine a latent (B, D) with image tokens (B, N, D): (B, D)."""
        query = self.norm_latent(latent).unsqueeze(1)  # (B, 1, D)
        sources = torch.cat([self.norm_image(image), query], dim=1)
        keys, values = self.to_kv(sources).chunk(2, dim=-1)
        by_head = (t.unflatten(-1, (self.heads, -1)) for t in (self.to_q(query), keys, values))  # (B, L, heads, d)
        q, k, v = (t.transpose(1, 2) for t in by_head)  # (B, heads, L, d), L is 1 for q and N + 1 for k and v
        attended = F.scaled_dot_product_attention(q, k, v)  # (B, heads, 1, d)
        attended = attended.transpose(1, 2).flatten(2).squeeze(1)  # (B, heads * d)
        latent = latent + self.to_out(attended)
        latent = latent + self.feed_forward(latent)
        return self.norm(latent)


class DescriptionHead(nn.Module):
    """Pools the question, refines it with the image, and fuses both into the query."""

    def __init__(self, config: SegEarthR1Config) -> None:
        super().__init__()
        hidden, dim = config.text_config.hidden_size, config.description_dim
        self.pool = mean_over if config.query == "description" else last_of
        self.embedding_projector = nn.Linear(hidden, dim)
        self.refines = config.d_projector
        if self.refines:
            self.text_projector = nn.Linear(hidden, dim)
            self.image_projector = nn.Linear(config.vision_channels[-1], dim)
            self.d_projector = DProjector(dim, config.description_heads, config.description_head_dim)
        self.fusion = nn.Linear(2 * dim if self.refines else dim, config.decoder_dim)

    def forward(self, states: Tensor, selected: Tensor, features: Tensor) -> Tensor:
        """Make the query (B, 1, D) from states (B, L, H), question positions (B, L) bool and features (B, C, h, w)."""
        pooled = self.pool(states, selected)
        parts = [self.embedding_projector(pooled)]
        if self.refines:
            image = self.image_projector(features.flatten(2).transpose(1, 2))  # (B, h * w, D)
            parts.append(self.d_projector(self.text_projector(pooled), image))
        return self.fusion(torch.cat(parts, dim=-1)).unsqueeze(1)  # (B, 1, D)
