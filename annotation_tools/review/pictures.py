"""Pictures for the page: a preview of the image, sharper parts for zooming, and the mask as area and as outline."""

from __future__ import annotations

import io
import threading
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from earthreason.data.pictures import size_of, untagged
from earthreason.errors import DataFormatError

from .large import Box, LargePictures, PackedMask

PREVIEW = 1600
"""Longest side of a preview in pixels, about the size of a screen."""
MASK_COLOUR = (214, 39, 160)
"""Magenta, a colour that is rare on the ground."""
_TRANSPARENT = (0, 0, 0)
_ONE_AT_A_TIME = threading.Lock()
"""Several requests then take the memory of one, and decode a mask once."""


def picture_bytes(path: Path, box: Box | None = None) -> tuple[bytes, str]:
    """Return a picture, or a part of it, with at most `PREVIEW` pixels per side, and its media type.

    A file that is small enough is returned unchanged.

    Raises:
        DataFormatError: the file is missing or not readable, or the box is outside the image.
    """
    try:
        if box is None:
            return _whole(path, path.stat().st_mtime_ns)
        with _ONE_AT_A_TIME:
            return _jpeg(_large().part(path, PREVIEW, box)), "image/jpeg"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DataFormatError):
            raise
        raise DataFormatError(f"{path}: not a readable picture ({error}); was it moved or changed?") from None


@lru_cache(maxsize=1)
def _large() -> LargePictures:
    return LargePictures()


@lru_cache(maxsize=8)
def _whole(path: Path, _changed: int) -> tuple[bytes, str]:
    if max(size_of(path)) > PREVIEW:
        with _ONE_AT_A_TIME:
            return _jpeg(_large().part(path, PREVIEW)), "image/jpeg"
    content = untagged(path.read_bytes(), path)
    with Image.open(io.BytesIO(content)) as image:
        return content, Image.MIME.get(image.format or "", "application/octet-stream")


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


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
    with _ONE_AT_A_TIME:
        packed = _mask(path)
        mask = packed.part(PREVIEW, box)
        return tint_png(outline(mask) if edge else mask)


def outline(mask: np.ndarray) -> np.ndarray:
    """Return the inner outline of a (height, width) bool mask, thick enough to be seen on a screen."""
    thickness = max(1, round(max(mask.shape) / 500))
    square = np.ones((2 * thickness + 1, 2 * thickness + 1), np.uint8)
    return mask & ~cv2.erode(mask.astype(np.uint8), square).astype(bool)


def tint_png(mask: np.ndarray, colour: tuple[int, int, int] = MASK_COLOUR) -> bytes:
    """Encode a (height, width) bool mask as a PNG of two colours, one of them transparent."""
    image = Image.fromarray(mask.astype(np.uint8), "P")
    image.putpalette(bytes((*_TRANSPARENT, *colour)))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=0, bits=1)
    return buffer.getvalue()


@lru_cache(maxsize=2)
def _mask(path: Path) -> PackedMask:
    return PackedMask.read(path)
