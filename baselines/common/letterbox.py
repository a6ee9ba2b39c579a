"""Images onto the square canvas of a model, and its logits back to the image's own size.

The geometry is that of `Grid("letterbox", side)`, so masks on the canvas are the ones the judge scores there.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from earthreason.errors import EarthReasonError
from earthreason.masks.grids import Grid

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
"""ImageNet statistics of RGB on the scale of 0 to 255."""
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def normalise(pixels: Tensor) -> Tensor:
    """(B, 3, H, W) uint8 to float32 with the statistics the image encoders were trained with."""
    mean, std = (torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in (PIXEL_MEAN, PIXEL_STD))
    return (pixels.float() - mean) / std


def rgb_tensor(image: Image.Image) -> Tensor:
    """A picture as (3, H, W) uint8; grey, palette, RGBA and CMYK pictures become RGB.

    Raises:
        EarthReasonError: it has no pixels, or more than 8 bits a channel.
    """
    if 0 in image.size:
        raise EarthReasonError(f"the image is {image.width} x {image.height} pixels; there is nothing to look at")
    if image.mode in _DEEP_MODES:
        raise EarthReasonError(f"the image has mode {image.mode}; stretch it to 8 bits a channel first")
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def letterbox_image(image: Image.Image, side: int) -> Tensor:
    """Scale the longer side to `side`, bilinearly without antialiasing as the reference, and pad with black.

    Returns:
        (3, side, side) uint8.
    """
    return letterbox_pixels(rgb_tensor(image), side)


def letterbox_pixels(pixels: Tensor, side: int) -> Tensor:
    """As `letterbox_image`, of (3, H, W) uint8."""
    grid = Grid("letterbox", side)
    height, width = pixels.shape[1:]
    rows, columns = (max(1, length) for length in grid.resized_shape(height, width))
    top, left = grid.padding(height, width)
    resized = F.interpolate(pixels.unsqueeze(0), size=(rows, columns), mode="bilinear", align_corners=False)[0]
    canvas = torch.zeros(3, side, side, dtype=torch.uint8)
    canvas[:, top : top + rows, left : left + columns] = resized[:, : side - top, : side - left]
    return canvas


def canvas_logits(logits: Tensor, side: int) -> Tensor:
    """(h, w) logits of a model to (side, side) on the canvas, bilinearly in float32."""
    return F.interpolate(logits[None, None].float(), size=(side, side), mode="bilinear", align_corners=False)[0, 0]


def restore_logits(logits: Tensor, side: int, height: int, width: int) -> Tensor:
    """(h, w) logits of a model to (height, width) of the image: the inverse of the letterbox."""
    grid = Grid("letterbox", side)
    rows, columns = (max(1, length) for length in grid.resized_shape(height, width))
    top, left = grid.padding(height, width)
    inside = canvas_logits(logits, side)[top : top + rows, left : left + columns]
    return F.interpolate(inside[None, None], size=(height, width), mode="bilinear", align_corners=False)[0, 0]
