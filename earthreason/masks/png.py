"""Masks as PNG files."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def encode_mask_png(mask: np.ndarray) -> bytes:
    """Encode a (height, width) bool mask as a PNG of mode L with 0 and 255."""
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG")
    return buffer.getvalue()
