"""Pictures as the page wants them: a preview first, the whole when zoomed in, the mask as tint and as outline."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.morphology import erosion, footprint_rectangle

from earthreason.data.pictures import mask_of, open_picture
from earthreason.errors import DataFormatError

PREVIEW = 1600
"""Longest side of a preview, pixels: what a screen shows at once."""
MASK_COLOUR = (214, 39, 160)
"""Magenta: the ground has every green, brown, grey and blue, but hardly ever this."""
_TRANSPARENT = (0, 0, 0)


def picture_bytes(path: Path, whole: bool) -> tuple[bytes, str]:
    """A picture and its media type: the file itself, or a JPEG preview if it is larger than one.

    Raises:
        DataFormatError: the file is gone or not readable.
    """
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            small_enough = max(image.size) <= PREVIEW
            media = Image.MIME.get(image.format or "", "application/octet-stream")
        if whole or small_enough:
            return content, media
        return _preview(path, path.stat().st_mtime_ns), "image/jpeg"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataFormatError(f"{path}: not a readable picture ({error}); was it moved or changed?") from None


@lru_cache(maxsize=32)
def _preview(path: Path, _changed: int) -> bytes:
    image = open_picture(path.read_bytes()).convert("RGB")
    image.thumbnail((PREVIEW, PREVIEW))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


@lru_cache(maxsize=64)
def overlay_png(path: Path, edge: bool, whole: bool) -> bytes:
    """The mask as a PNG of two colours, one of them transparent: its area, or its inner outline.

    A preview keeps a pixel where any pixel of the mask falls, so that a mask of one pixel is seen.

    Raises:
        DataFormatError: the mask is not readable.
    """
    mask = mask_of(path.read_bytes(), path)
    if not whole and max(mask.shape) > PREVIEW:
        mask = _shrink(mask)
    if edge:
        width = max(1, round(max(mask.shape) / 500))
        square = footprint_rectangle((2 * width + 1, 2 * width + 1))
        mask = mask & ~erosion(np.pad(mask, 1), square)[1:-1, 1:-1]
    image = Image.fromarray(mask.astype(np.uint8), "P")
    image.putpalette(bytes((*_TRANSPARENT, *MASK_COLOUR)))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=0, bits=1)
    return buffer.getvalue()


def _shrink(mask: np.ndarray) -> np.ndarray:
    factor = -(-max(mask.shape) // PREVIEW)
    padded = np.pad(mask, [(0, -side % factor) for side in mask.shape])
    blocks = padded.reshape(padded.shape[0] // factor, factor, padded.shape[1] // factor, factor)
    return np.asarray(blocks.any(axis=(1, 3)))
