"""Multi-scale deformable pixel decoder of Mask2Former (arXiv 2112.01527), as changed in SegEarth-R1's code.

It differs from the original, and from transformers' port, in the FPN level: the lateral convolution has a bias and a
ReLU, and the output convolution has a bias. Sampling always runs in float32: bfloat16 coordinates alone change the
sampled values by up to 30 %, and half-precision `grid_sample` on the CPU returns garbage on strided input.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..common.devices import cached_constant
from .configuration import SegEarthR1Config

LEVELS = 3
_GROUPS = 32


@cached_constant
def sine_positions(height: int, width: int, dim: int, device: torch.device) -> Tensor:
    """Return sine codes (1, dim, height, width), float32: y in the first half, x in the second, sin and cos in turn."""
    per_axis = dim // 2
    frequency = 10000.0 ** (2 * torch.div(torch.arange(per_axis, device=device), 2, rounding_mode="floor") / per_axis)

    def code(length: int) -> Tensor:
        at = torch.arange(1, length + 1, dtype=torch.float32, device=device)
        angle = (at / (at[-1] + 1e-6) * 2 * math.pi)[:, None] / frequency  # (length, dim / 2)
        return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], dim=2).flatten(1)  # (length, dim / 2)

    y = code(height)[:, None].expand(-1, width, -1)  # (height, width, dim / 2)
    x = code(width)[None].expand(height, -1, -1)  # (height, width, dim / 2)
    return torch.cat([y, x], dim=-1).permute(2, 0, 1).unsqueeze(0)  # (1, dim, height, width)


@cached_constant
def pixel_centres(shapes: tuple[tuple[int, int], ...], device: torch.device) -> Tensor:
    """Return the pixel centres of all levels as fractions of the image: (positions, 2) float32, x before y."""
    parts = []
    for height, width in shapes:
        y, x = torch.meshgrid(
            (torch.arange(height, dtype=torch.float32, device=device) + 0.5) / height,
            (torch.arange(width, dtype=torch.float32, device=device) + 0.5) / width,
            indexing="ij",
        )
        parts.append(torch.stack([x, y], dim=-1).flatten(0, 1))  # (height * width, 2)
    return torch.cat(parts)


@cached_constant
def level_starts(shapes: tuple[tuple[int, int], ...], device: torch.device) -> Tensor:
    """Return the position of each level's first pixel among those of all levels: (levels,) int32."""
    counts = [height * width for height, width in shapes]
    return torch.tensor([sum(counts[:level]) for level in range(len(counts))], dtype=torch.int32, device=device)


@cached_constant
def level_sizes(shapes: tuple[tuple[int, int], ...], device: torch.device) -> Tensor:
    """Return width and height of each level: (levels, 2) float32."""
    return torch.tensor([(width, height) for height, width in shapes], dtype=torch.float32, device=device)


Shapes = tuple[tuple[int, int], ...]


def sample_levels(value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Sample and sum values as in deformable attention (arXiv 2010.04159, eq. 3): bilinear, zero outside the image.

    Args:
        value: (B, positions, heads, d) features of all levels.
        shapes: height and width of each level.
        locations: (B, queries, heads, levels, points, 2) fractions of the image, x before y.
        weights: (B, queries, heads, levels, points) weights that sum to 1 over levels and points.

    Returns:
        Sums (B, queries, heads * d).
    """
    # Measured: on a CPU the bag takes a third of the time, but its gradient, which sorts the rows, takes longer; on an
    # H100 the model ran 8 to 12 % slower with it.
    bag = value.device.type == "cpu" and not torch.is_grad_enabled()
    sample = sample_by_bag if bag else sample_by_grid
    return sample(value, shapes, locations, weights)


def sample_by_bag(value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Compute `sample_levels` as one weighted sum over rows of a table: each corner of a sampled point is a row.

    The features of a head are contiguous in `value`, so rows are read at once, and no values of single points are kept.
    """
    batch, positions, heads, depth = value.shape
    queries = locations.shape[1]
    width, height = level_sizes(shapes, value.device).unsqueeze(-1).unbind(1)  # (levels, 1) each
    x, y = locations[..., 0] * width - 0.5, locations[..., 1] * height - 0.5  # (B, queries, heads, levels, points)
    left, top = x.floor(), y.floor()
    image = torch.arange(batch, dtype=torch.int32, device=value.device).view(-1, 1, 1, 1, 1)  # (B, 1, 1, 1, 1)
    head = torch.arange(heads, dtype=torch.int32, device=value.device).view(-1, 1, 1)  # (heads, 1, 1)
    start = image * positions + level_starts(shapes, value.device).unsqueeze(-1)  # (B, 1, 1, levels, 1)
    rows, shares = [], []
    for right, down in ((0, 0), (1, 0), (0, 1), (1, 1)):
        column, row = left + right, top + down
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        near = (x - left if right else left + 1 - x) * (y - top if down else top + 1 - y)
        pixel = torch.minimum(row.clamp(min=0), height - 1) * width + torch.minimum(column.clamp(min=0), width - 1)
        rows.append((start + pixel.int()) * heads + head)
        shares.append(near * inside * weights)
    bags = torch.stack(rows, -1).view(batch * queries * heads, -1)  # (B * queries * heads, levels * points * 4)
    weights = torch.stack(shares, -1).view(batch * queries * heads, -1)  # (B * queries * heads, levels * points * 4)
    table = value.reshape(-1, depth)  # (B * positions * heads, d)
    total = F.embedding_bag(bags, table, mode="sum", per_sample_weights=weights)
    return total.view(batch, queries, heads * depth)  # (B, queries, heads * d)


def sample_by_grid(value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Compute `sample_levels` level by level with `grid_sample`."""
    batch, _, heads, depth = value.shape
    queries = locations.shape[1]
    # Queries are the last dimension: a sum over a last dimension of four points is slow on a GPU.
    grids = (2 * locations - 1).permute(3, 0, 2, 4, 1, 5).flatten(1, 2)  # (levels, B * heads, points, queries, 2)
    weights = weights.permute(3, 0, 2, 4, 1).flatten(1, 2)  # (levels, B * heads, points, queries)
    total = value.new_zeros(batch * heads, depth, queries)
    levels = torch.split(value, [height * width for height, width in shapes], dim=1)
    for level, (height, width) in enumerate(shapes):
        image = levels[level].permute(0, 2, 3, 1)  # (B, heads, d, height * width)
        image = image.reshape(batch * heads, depth, height, width)  # (B * heads, d, height, width)
        sampled = F.grid_sample(image, grids[level], mode="bilinear", padding_mode="zeros", align_corners=False)
        total = total + (sampled * weights[level].unsqueeze(1)).sum(-2)  # (B * heads, d, queries)
    return total.view(batch, heads * depth, queries).transpose(1, 2)  # (B, queries, heads * d)


class DeformableAttention(nn.Module):
    """Attention of each position to a few sampled points of each level."""

    def __init__(self, dim: int, heads: int, points: int) -> None:
        super().__init__()
        self.heads, self.points = heads, points
        self.sampling_offsets = nn.Linear(dim, heads * LEVELS * points * 2)
        self.attention_weights = nn.Linear(dim, heads * LEVELS * points)
        self.value_proj = nn.Linear(dim, dim)
        self.output_proj = nn.Linear(dim, dim)
        self._spread_offsets()

    def _spread_offsets(self) -> None:
        """Initialise heads to different directions, and points to growing distances (arXiv 2010.04159)."""
        nn.init.zeros_(self.sampling_offsets.weight)
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        angle = torch.arange(self.heads, dtype=torch.float32) * (2 * math.pi / self.heads)
        direction = torch.stack([angle.cos(), angle.sin()], dim=-1)  # (heads, 2)
        direction = direction / direction.abs().amax(-1, keepdim=True)
        distance = torch.arange(1, self.points + 1, dtype=torch.float32)
        offsets = direction[:, None, None, :] * distance[None, None, :, None]  # (heads, 1, points, 2)
        with torch.no_grad():
            offsets = offsets.expand(-1, LEVELS, -1, -1).flatten()  # (heads * levels * points * 2,)
            self.sampling_offsets.bias.copy_(offsets)

    def forward(self, query: Tensor, features: Tensor, shapes: tuple[tuple[int, int], ...]) -> Tensor:
        """Attend from queries (B, positions, dim) to features (B, positions, dim): (B, positions, dim)."""
        batch, positions, _ = query.shape
        value = self.value_proj(features).view(batch, positions, self.heads, -1)  # (B, N, heads, d)
        split = (batch, positions, self.heads, LEVELS, self.points)
        offsets = self.sampling_offsets(query).view(*split, 2).float()  # (B, N, heads, levels, points, 2)
        weights = self.attention_weights(query).view(batch, positions, self.heads, -1)  # (B, N, heads, levels * points)
        weights = weights.float().softmax(-1).view(split)  # (B, N, heads, levels, points)
        centres = pixel_centres(shapes, query.device)[None, :, None, None, None]  # (1, N, 1, 1, 1, 2)
        locations = centres + offsets / level_sizes(shapes, query.device)[:, None]
        sampled = sample_levels(value.float(), shapes, locations, weights)
        return self.output_proj(sampled.to(query.dtype))


class DeformableLayer(nn.Module):
    """Deformable attention and an MLP, each followed by a LayerNorm over the residual."""

    def __init__(self, dim: int, heads: int, points: int, ffn: int) -> None:
        super().__init__()
        self.self_attn = DeformableAttention(dim, heads, points)
        self.norm1 = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, ffn)
        self.linear2 = nn.Linear(ffn, dim)
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, x: Tensor, positions: Tensor, shapes: tuple[tuple[int, int], ...]) -> Tensor:
        x = self.norm1(x + self.self_attn(x + positions, x, shapes))
        return self.norm2(x + self.linear2(F.relu(self.linear1(x))))


class PixelDecoder(nn.Module):
    """Mixes the three coarser levels, then adds a finer level for the mask features."""

    def __init__(self, config: SegEarthR1Config) -> None:
        super().__init__()
        dim = config.decoder_dim
        fine, *rest = config.vision_channels
        self.input_proj = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, dim, kernel_size=1), nn.GroupNorm(_GROUPS, dim))
            for channels in reversed(rest)
        )
        self.level_embed = nn.Parameter(torch.empty(LEVELS, dim).normal_())
        self.layers = nn.ModuleList(
            DeformableLayer(dim, config.decoder_heads, config.sampling_points, config.pixel_decoder_ffn)
            for _ in range(config.pixel_decoder_layers)
        )
        self.lateral = nn.Sequential(nn.Conv2d(fine, dim, kernel_size=1), nn.GroupNorm(_GROUPS, dim), nn.ReLU())
        self.output = nn.Sequential(
            nn.Conv2d(dim, dim, kernel_size=3, padding=1), nn.GroupNorm(_GROUPS, dim), nn.ReLU()
        )
        self.mask_features = nn.Conv2d(dim, dim, kernel_size=1)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor]]:
        """Turn features of strides 4 to 32 into mask features (B, D, S/4, S/4) and memories of strides 32, 16, 8."""
        fine, *rest = features
        maps = [project(level) for project, level in zip(self.input_proj, reversed(rest), strict=True)]
        shapes = tuple((m.shape[2], m.shape[3]) for m in maps)
        x = torch.cat([m.flatten(2).transpose(1, 2) for m in maps], dim=1)  # (B, N, D), N positions of all levels
        codes = [sine_positions(*shape, x.shape[2], x.device) for shape in shapes]
        codes = [code.flatten(2).transpose(1, 2).to(x.dtype) for code in codes]  # (1, h * w, D) a level
        positions = torch.cat([code + embed for code, embed in zip(codes, self.level_embed, strict=True)], dim=1)
        for layer in self.layers:
            x = layer(x, positions, shapes)
        sizes = [height * width for height, width in shapes]
        parts = torch.split(x.transpose(1, 2), sizes, dim=2)  # (B, D, h * w) a level
        memories = [part.unflatten(2, shape) for part, shape in zip(parts, shapes, strict=True)]  # (B, D, h, w) a level
        finest = F.interpolate(memories[-1].float(), size=fine.shape[-2:], mode="bilinear", align_corners=False)
        merged = self.output(self.lateral(fine) + finest.to(fine.dtype))
        return self.mask_features(merged), memories
