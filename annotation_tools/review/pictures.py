"""Pictures for the page: a preview of the image, sharper parts for zooming, and the mask as area and as outline."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.morphology import erosion, footprint_rectangle

from earthreason.data.pictures import mask_of, open_picture, untagged
from earthreason.errors import DataFormatError

PREVIEW = 1600
"""Longest side of a preview in pixels, about the size of a screen."""
MASK_COLOUR = (214, 39, 160)
"""Magenta, a colour that is rare on the ground."""
_TRANSPARENT = (0, 0, 0)


Box = tuple[int, int, int, int]
"""Left, top, width and height of a part, in pixels of the original."""


def picture_bytes(path: Path, box: Box | None = None) -> tuple[bytes, str]:
    """Return a picture, or a part of it, with at most `PREVIEW` pixels per side, and its media type.

    A file that is small enough is returned unchanged.

    Raises:
        DataFormatError: the file is missing or not readable, or the box is outside the image.
    """
    try:
        if box is None:
            return _whole(path, path.stat().st_mtime_ns)
        image = _decoded(path, path.stat().st_mtime_ns)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataFormatError(f"{path}: not a readable picture ({error}); was it moved or changed?") from None
    left, top, width, height = _checked(box, image.width, image.height)
    part = image.crop((left, top, left + width, top + height))
    part.thumbnail((PREVIEW, PREVIEW))
    return _jpeg(part), "image/jpeg"


@lru_cache(maxsize=32)
def _whole(path: Path, changed: int) -> tuple[bytes, str]:
    content = untagged(path.read_bytes(), path)
    with Image.open(io.BytesIO(content)) as image:
        if max(image.size) <= PREVIEW:
            return content, Image.MIME.get(image.format or "", "application/octet-stream")
    small = _decoded(path, changed).copy()
    small.thumbnail((PREVIEW, PREVIEW))
    return _jpeg(small), "image/jpeg"


@lru_cache(maxsize=2)
def _decoded(path: Path, _changed: int) -> Image.Image:
    return open_picture(path.read_bytes()).convert("RGB")


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _checked(box: Box, width: int, height: int) -> Box:
    left, top, across, down = box
    if left < 0 or top < 0 or across < 1 or down < 1 or left + across > width or top + down > height:
        raise DataFormatError(f"the box {box} is outside the image of {width} x {height} pixels")
    return box


@lru_cache(maxsize=64)
def overlay_png(path: Path, edge: bool, box: Box | None = None) -> bytes:
    """Return a mask, or a part of it, as a PNG of two colours, one of them transparent.

    A pixel of a reduced mask is set if any of its original pixels is, so a mask of one pixel stays visible.

    Args:
        path: file of the mask.
        edge: whether to draw the inner outline instead of the area.
        box: part to draw, None for the whole mask.

    Raises:
        DataFormatError: the mask is not readable, or the box is outside it.
    """
    mask = _mask(path)
    if box is not None:
        left, top, width, height = _checked(box, mask.shape[1], mask.shape[0])
        mask = mask[top : top + height, left : left + width]
    if max(mask.shape) > PREVIEW:
        mask = _shrink(mask)
    if edge:
        thickness = max(1, round(max(mask.shape) / 500))
        square = footprint_rectangle((2 * thickness + 1, 2 * thickness + 1))
        mask = mask & ~erosion(mask, square)
    image = Image.fromarray(mask.astype(np.uint8), "P")
    image.putpalette(bytes((*_TRANSPARENT, *MASK_COLOUR)))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=0, bits=1)
    return buffer.getvalue()


@lru_cache(maxsize=2)
def _mask(path: Path) -> np.ndarray:
    return mask_of(path.read_bytes(), path)


def _shrink(mask: np.ndarray) -> np.ndarray:
    factor = -(-max(mask.shape) // PREVIEW)
    padded = np.pad(mask, [(0, -side % factor) for side in mask.shape])
    blocks = padded.reshape(padded.shape[0] // factor, factor, padded.shape[1] // factor, factor)
    return np.asarray(blocks.any(axis=(1, 3)))
