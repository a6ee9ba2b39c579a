"""Pictures as the page wants them: a preview, parts of it when zoomed in, the mask as tint and as outline."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.morphology import erosion, footprint_rectangle

from annotation_tools.images import without_rotation
from earthreason.data.pictures import mask_of, open_picture
from earthreason.errors import DataFormatError

PREVIEW = 1600
"""Longest side of a preview, pixels: what a screen shows at once."""
MASK_COLOUR = (214, 39, 160)
"""Magenta: the ground has every green, brown, grey and blue, but hardly ever this."""
_TRANSPARENT = (0, 0, 0)


Box = tuple[int, int, int, int]
"""Left, top, width and height of a part, pixels of the original."""


def picture_bytes(path: Path, box: Box | None = None) -> tuple[bytes, str]:
    """A picture, or a part of it, of at most `PREVIEW` pixels a side, and its media type.

    A file that is small enough is given as it is.

    Raises:
        DataFormatError: the file is gone or not readable, or the box lies outside.
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
    content = without_rotation(path.read_bytes())
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
        raise DataFormatError(f"the part {box} lies outside the image of {width} x {height} pixels")
    return box


@lru_cache(maxsize=64)
def overlay_png(path: Path, edge: bool, box: Box | None = None) -> bytes:
    """The mask, or a part of it, as a PNG of two colours, one of them transparent: its area, or its inner outline.

    What is made smaller keeps a pixel where any pixel of the mask falls, so that a mask of one pixel is seen.

    Raises:
        DataFormatError: the mask is not readable, or the box lies outside.
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
