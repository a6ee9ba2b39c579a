"""Pixel statistics of the image encoders' training data."""

from __future__ import annotations

import torch
from torch import Tensor

from .devices import cached_constant

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
"""ImageNet statistics of RGB on a scale of 0 to 255."""
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""Statistics of CLIP's pretraining data on a scale of 0 to 1."""


def normalise(pixels: Tensor, mean: tuple[float, ...] = PIXEL_MEAN, std: tuple[float, ...] = PIXEL_STD) -> Tensor:
    """Normalise (B, 3, H, W) uint8 to float32 by `mean` and `std`, from 0 to 255; the defaults are ImageNet's."""
    return (pixels.float() - _by_channel(mean, pixels.device)) / _by_channel(std, pixels.device)


def normalise_clip(pixels: Tensor) -> Tensor:
    """Normalise (B, 3, H, W) on a scale of 0 to 255 by CLIP's statistics to float32."""
    return (pixels.float() / 255 - _by_channel(CLIP_MEAN, pixels.device)) / _by_channel(CLIP_STD, pixels.device)


def split_padding(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Split uint8 pixels of a processor into (B, 3, S, S), and (B, 1, S, S) bool, False on padding.

    The padding is where their fourth channel is 0; (B, 3, S, S) has none.
    """
    marked = pixels.shape[1] > 3
    return pixels[:, :3], pixels[:, 3:] != 0 if marked else torch.ones_like(pixels[:, :1], dtype=torch.bool)


@cached_constant
def _by_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, device=device).view(-1, 1, 1)  # (3, 1, 1)
