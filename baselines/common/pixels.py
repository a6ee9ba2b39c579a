"""The pixel statistics that the image encoders were trained with."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.common.devices import cached_constant

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
"""ImageNet statistics of RGB on the scale of 0 to 255."""
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""Statistics of CLIP's pre-training on the scale of 0 to 1."""


def normalise(pixels: Tensor) -> Tensor:
    """(B, 3, H, W) uint8 to float32 with the statistics the image encoders were trained with."""
    return (pixels.float() - _by_channel(PIXEL_MEAN, pixels.device)) / _by_channel(PIXEL_STD, pixels.device)


def normalise_clip(pixels: Tensor) -> Tensor:
    """(B, 3, H, W) on the scale of 0 to 255 to float32 with the statistics of CLIP."""
    return (pixels.float() / 255 - _by_channel(CLIP_MEAN, pixels.device)) / _by_channel(CLIP_STD, pixels.device)


@cached_constant
def _by_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, device=device).view(-1, 1, 1)
