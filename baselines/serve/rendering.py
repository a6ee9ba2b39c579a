"""Pictures of answers: probabilities, masks and overlays as PNG."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from earthreason.overlay import PREDICTION_COLOUR, draw_overlay, shrink_mask

from .results import Result
from .settings import RefusedError
from .warping import map_area, warp, window_of

PREVIEW_SIDE = 2048
"""Longest side of previews and overlays, in pixels."""
MAP_SIDE = 4096
"""Longest side of an answer as a layer of a map, in pixels."""
_QUICK = 3
"""zlib level: a third of the time of the default, for files a little larger."""


def png_of(pixels: np.ndarray) -> bytes:
    """Encode (height, width) or (height, width, channels) uint8, or (height, width) bool, as PNG."""
    file = io.BytesIO()
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    image = Image.frombytes(mode, pixels.shape[1::-1], np.ascontiguousarray(pixels).tobytes())
    image.save(file, "PNG", compress_level=_QUICK)
    return file.getvalue()


def grey_of(probability: np.ndarray) -> np.ndarray:
    """Turn probabilities into grey and alpha.

    Args:
        probability: (height, width) float32; NaN where there is no data.

    Returns:
        (2, height, width) uint8: round(255 * probability), and 255 where there is data.
    """
    known = np.isfinite(probability)
    out = np.zeros((2, *probability.shape), np.uint8)
    out[0] = np.rint(np.where(known, probability, 0) * np.float32(255)).astype(np.uint8)
    out[1][known] = 255
    return out


def probability_png(result: Result, number: int) -> bytes:
    """Draw the probabilities of an answer."""
    return png_of(np.moveaxis(grey_of(result.probability(number)), 0, -1))


def map_png(result: Result, number: int) -> bytes:
    """Draw the probabilities of an answer in Web Mercator, at the bounds of the result.

    Raises:
        RefusedError: the picture has no place on the map.
    """
    area = map_area(result.grid, MAP_SIDE)
    seen = None if area is None else window_of(result.grid, area)
    if area is None or seen is None:
        raise RefusedError(404, "the picture has no place on the map; use probability.png")
    bands = grey_of(result.probability(number)[seen[0].top : seen[0].bottom, seen[0].left : seen[0].right])
    grid = result.grid.cut(seen[0])
    return png_of(np.moveaxis(warp(bands, grid, area, smooth=False), 0, -1))


def mask_png(result: Result, number: int, threshold: float) -> bytes:
    """Draw the mask of an answer at a threshold: 255 on the target, 0 elsewhere."""
    return png_of(result.marked(number, threshold))


def overlay_png(result: Result, number: int, threshold: float) -> bytes:
    """Draw the mask of an answer at a threshold over the picture."""
    preview = result.preview()
    marked = result.marked(number, threshold)
    if marked.shape != preview.shape[:2]:
        marked = shrink_mask(marked, (preview.shape[1], preview.shape[0]))
    drawn = draw_overlay(Image.fromarray(np.asarray(preview)), marked, PREDICTION_COLOUR, side=PREVIEW_SIDE)
    return png_of(np.asarray(drawn))


def fit(height: int, width: int, side: int) -> tuple[int, int]:
    """Return height and width scaled down so that neither exceeds `side`."""
    scale = max(1.0, max(height, width) / side)
    return max(1, round(height / scale)), max(1, round(width / scale))
