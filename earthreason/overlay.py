"""Draw masks over images."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

TRUTH_COLOUR = (0, 158, 115)
PREDICTION_COLOUR = (230, 85, 13)
"""Green and orange of the Okabe-Ito palette, which people with colour blindness can distinguish."""


def draw_overlay(
    image: Image.Image,
    mask: np.ndarray | None,
    colour: tuple[int, int, int],
    opacity: float = 0.45,
    side: int = 512,
    line: int = 1,
) -> Image.Image:
    """Tint `mask` and draw its outline on a copy of `image`.

    Args:
        image: image to copy.
        mask: mask at the size of the image, (height, width) bool; if it is None or empty, nothing is drawn.
        colour: RGB colour of tint and outline, 0 to 255.
        opacity: opacity of the tint; the outline is opaque.
        side: maximum length of the longer side of the result, in pixels.
        line: width of the outline, in pixels of the result.
    """
    small = image.convert("RGB")
    small.thumbnail((side, side))
    if mask is None or not mask.any():
        return small
    region = shrink_mask(mask, small.size)
    pixels = np.array(small)
    levels = np.arange(256, dtype=np.float32)[:, None] * (1 - opacity) + np.array(colour, np.float32) * opacity
    tinted = cv2.LUT(pixels, levels.astype(np.uint8)[None])  # (H, W, 3); a table is faster than arithmetic on pixels
    pixels = cv2.copyTo(tinted, region.astype(np.uint8), pixels)
    _outline(pixels, region, colour, line)
    return Image.fromarray(pixels)


def shrink_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shrink a mask, (height, width) bool, to `size` (width, height), at most its own, so that no part of it vanishes.

    A pixel of the result is set if any of the pixels that it stands for is.
    """
    for axis, length in enumerate(reversed(size)):
        if length != mask.shape[axis]:
            mask = np.logical_or.reduceat(mask, np.arange(length) * mask.shape[axis] // length, axis=axis)
    return mask


def outline_mask(image: Image.Image, mask: np.ndarray, colour: tuple[int, int, int]) -> Image.Image:
    """Draw a line around `mask`, (height, width) bool at the size of the image, on a copy of `image`."""
    pixels = np.array(image.convert("RGB"))
    _outline(pixels, mask, colour, 1)
    return Image.fromarray(pixels)


def _outline(pixels: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int], line: int) -> None:
    inside = mask.astype(np.uint8)
    pixels[cv2.dilate(inside, np.ones((2 * line + 1, 2 * line + 1), np.uint8)) > inside] = colour
