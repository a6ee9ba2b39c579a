"""Swin Transformer (arXiv 2103.14030) as the image encoder, with the tensor names of the published checkpoints.

We do not use that of transformers, which renames tensors between minor versions, changes a block's window on small
images, and expands the shift mask over the batch. Attention uses SDPA.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..common.devices import cached_constant
from .configuration import SegEarthR1Config

MLP_RATIO = 4
_BLOCKED = -100.0
"""Offset of attention scores between regions that are neighbours only by the cyclic shift."""


@cached_constant
def relative_position_index(window: int, device: torch.device) -> Tensor:
    """Return the row of the bias table for each pair of positions in a window: (window^4,) int64."""
    row, column = torch.meshgrid(*[torch.arange(window, device=device)] * 2, indexing="ij")
    position = torch.stack([row.flatten(), column.flatten()])  # (2, window^2)
    difference = position[:, :, None] - position[:, None, :] + window - 1  # (2, window^2, window^2)
    return (difference[0] * (2 * window - 1) + difference[1]).flatten()  # (window^4,)


@cached_constant
def shift_mask(height: int, width: int, window: int, shift: int, device: torch.device) -> Tensor:
    """Return the additive mask of shifted windows: (windows, 1, window^2, window^2), 0 within a region, -100 across."""

    def region(length: int) -> Tensor:
        position = torch.arange(length, device=device)
        return (position >= length - window).long() + (position >= length - shift).long()

    regions = region(height)[:, None] * 3 + region(width)[None, :]
    regions = regions.view(height // window, window, width // window, window)  # (rows, window, columns, window)
    regions = regions.transpose(1, 2).reshape(-1, window**2)  # (windows, window^2)
    across = regions[:, None, :] != regions[:, :, None]
    return (across * _BLOCKED).unsqueeze(1)  # (windows, 1, window^2, window^2)


def split_windows(x: Tensor, window: int) -> Tensor:
    """Split (B, H, W, C), with H and W multiples of the window, into (B, windows, window^2, C)."""
    batch, height, width, channels = x.shape
    rows, columns = height // window, width // window
    x = x.view(batch, rows, window, columns, window, channels)  # (B, rows, window, columns, window, C)
    return x.transpose(2, 3).reshape(batch, -1, window**2, channels)  # (B, windows, window^2, C)


def join_windows(x: Tensor, window: int, height: int, width: int) -> Tensor:
    """Invert `split_windows`: (B, windows, window^2, C) to (B, H, W, C)."""
    batch, channels = x.shape[0], x.shape[-1]
    rows, columns = height // window, width // window
    x = x.view(batch, rows, columns, window, window, channels)  # (B, rows, columns, window, window, C)
    return x.transpose(2, 3).reshape(batch, height, width, channels)  # (B, H, W, C)


class WindowAttention(nn.Module):
    """Self-attention inside windows, with a learned bias per relative position."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Attend within windows (B, windows, positions, C); `mask` is (windows, 1, positions, positions) or None."""
        batch, windows, positions, channels = x.shape
        qkv = self.qkv(x).view(batch, windows, positions, 3, self.heads, -1)  # (B, windows, positions, 3, heads, d)
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5)  # (B, windows, heads, positions, d) each
        index = relative_position_index(self.window, x.device)
        bias = self.relative_position_bias_table[index]  # (positions^2, heads)
        bias = bias.view(positions, positions, -1).permute(2, 0, 1)  # (heads, positions, positions)
        if mask is None:
            q, k, v = (t.flatten(0, 1) for t in (q, k, v))  # (B * windows, heads, positions, d)
        else:  # treat windows as heads, which broadcasts the mask over the batch instead of copying it
            bias = (bias + mask.to(bias)).flatten(0, 1)  # (windows * heads, positions, positions)
            q, k, v = (t.flatten(1, 2) for t in (q, k, v))  # (B, windows * heads, positions, d)
        # The fused CUDA kernels refuse a strided last dimension.
        bias = bias.to(q.dtype).contiguous().unsqueeze(0)  # (1, heads or windows * heads, positions, positions)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        out = out.view(batch, windows, self.heads, positions, -1)  # (B, windows, heads, positions, d)
        out = out.transpose(2, 3).reshape(batch, windows, positions, channels)  # (B, windows, positions, C)
        return self.proj(out)


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, MLP_RATIO * dim)
        self.fc2 = nn.Linear(MLP_RATIO * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


def drop_path(x: Tensor, rate: float, training: bool) -> Tensor:
    """Apply stochastic depth (arXiv 1603.09382): zero each sample with probability `rate`, and scale up the others."""
    if not training or rate == 0:
        return x
    keep = torch.rand(x.shape[0], *[1] * (x.ndim - 1), device=x.device) >= rate
    return x * keep.to(x.dtype) / (1 - rate)


class SwinBlock(nn.Module):
    """Window attention and an MLP, each with a LayerNorm before it and a residual around it."""

    def __init__(self, dim: int, heads: int, window: int, shift: int, drop: float) -> None:
        super().__init__()
        self.window, self.shift, self.drop = window, shift, drop
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, heads, window)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Transform (B, H, W, C)."""
        x = x + drop_path(self._attend(self.norm1(x)), self.drop, self.training)
        return x + drop_path(self.mlp(self.norm2(x)), self.drop, self.training)

    def _attend(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        down, right = -height % self.window, -width % self.window
        x = F.pad(x, (0, 0, 0, right, 0, down))
        mask = None
        if self.shift:
            x = x.roll((-self.shift, -self.shift), dims=(1, 2))
            mask = shift_mask(height + down, width + right, self.window, self.shift, x.device)
        x = join_windows(self.attn(split_windows(x, self.window), mask), self.window, height + down, width + right)
        if self.shift:
            x = x.roll((self.shift, self.shift), dims=(1, 2))
        return x[:, :height, :width]


class PatchMerging(nn.Module):
    """Halves the resolution: merges four neighbours into one position with twice the channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        phases = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduction(self.norm(torch.cat(phases, dim=-1)))


class PatchEmbedding(nn.Module):
    """Embeds patches of 4 x 4 pixels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=4, stride=4)
        self.norm = nn.LayerNorm(dim)

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.norm(self.proj(pixel_values).permute(0, 2, 3, 1))  # (B, H/4, W/4, C)


class SwinStage(nn.Module):
    """Blocks at one resolution; every second one shifts its windows."""

    def __init__(self, dim: int, depth: int, heads: int, window: int, drops: list[float], last: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinBlock(dim, heads, window, shift=window // 2 if n % 2 else 0, drop=drops[n]) for n in range(depth)
        )
        self.downsample = None if last else PatchMerging(dim)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class SwinTransformer(nn.Module):
    """Four stages; the output of each, before downsampling, has a LayerNorm of its own."""

    def __init__(self, config: SegEarthR1Config) -> None:
        super().__init__()
        depths, channels = config.vision_depths, config.vision_channels
        blocks = sum(depths)
        rates = [config.drop_path_rate * block / max(1, blocks - 1) for block in range(blocks)]
        self.patch_embed = PatchEmbedding(config.vision_dim)
        self.layers = nn.ModuleList()
        for stage, depth in enumerate(depths):
            drops = rates[sum(depths[:stage]) : sum(depths[: stage + 1])]
            last = stage == len(depths) - 1
            heads = config.vision_heads[stage]
            self.layers.append(SwinStage(channels[stage], depth, heads, config.window_size, drops, last))
        self.norm0, self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for width in channels)

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        """Turn normalised pixels (B, 3, S, S) into features (B, C, S/4, S/4) and of strides 8, 16 and 32."""
        x = self.patch_embed(pixel_values)
        features = []
        norms = (self.norm0, self.norm1, self.norm2, self.norm3)
        for stage, norm in zip(self.layers, norms, strict=True):
            x = stage(x)
            features.append(norm(x).permute(0, 3, 1, 2))  # (B, C, h, w)
            x = stage.downsample(x) if isinstance(stage.downsample, PatchMerging) else x
        return tuple(features)
