"""The pixel statistics that the image encoders were trained with."""

from __future__ import annotations

import torch
from torch import Tensor

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
"""ImageNet statistics of RGB on the scale of 0 to 255."""


def normalise(pixels: Tensor) -> Tensor:
    """(B, 3, H, W) uint8 to float32 with the statistics the image encoders were trained with."""
    mean, std = (torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in (PIXEL_MEAN, PIXEL_STD))
    return (pixels.float() - mean) / std
