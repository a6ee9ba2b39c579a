"""Masks drawn over images."""

from __future__ import annotations

import numpy as np
from PIL import Image
from skimage.morphology import dilation, footprint_rectangle

TRUTH_COLOUR = (0, 158, 115)
PREDICTION_COLOUR = (230, 85, 13)
"""Green and orange of the Okabe-Ito palette: told apart with any colour vision."""


def draw_overlay(
    image: Image.Image, mask: np.ndarray | None, colour: tuple[int, int, int], opacity: float = 0.45, side: int = 512
) -> Image.Image:
    """Tint `mask` and draw its outline on a copy of `image`, at most `side` pixels a side.

    Args:
        image: RGB.
        mask: (height, width) bool at the image's size; None or all False leaves the image as it is.
        colour: RGB, 0 to 255.
        opacity: of the tint; the outline is opaque.
        side: longest side of the result.
    """
    small = image.convert("RGB")
    small.thumbnail((side, side))
    if mask is None or not mask.any():
        return small
    region = np.asarray(Image.fromarray(mask).resize(small.size, Image.Resampling.NEAREST))
    pixels = np.asarray(small).astype(np.float32)
    pixels[region] = pixels[region] * (1 - opacity) + np.array(colour, np.float32) * opacity
    return outline_mask(Image.fromarray(pixels.astype(np.uint8)), region, colour)


def outline_mask(image: Image.Image, mask: np.ndarray, colour: tuple[int, int, int]) -> Image.Image:
    """A copy of `image` with a line along the edge of `mask`, (height, width) bool at the image's size."""
    pixels = np.array(image.convert("RGB"))
    square = footprint_rectangle((3, 3))
    pixels[dilation(mask, square) & ~mask] = colour
    return Image.fromarray(pixels)
