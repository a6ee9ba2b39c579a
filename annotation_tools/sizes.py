"""Sizes of images that files state."""

from __future__ import annotations

from earthreason.errors import DataFormatError

MOST_PIXELS = 178_956_970
"""Largest image, in pixels. Pillow refuses more, and a false size in a file would only waste memory."""


def checked_size(height: object, width: object, place: str) -> tuple[int, int]:
    """Check the image size stated in a file; return height and width in pixels.

    Raises:
        DataFormatError: a side is not a whole number from 1, or the image has too many pixels.
    """
    try:
        size = int(str(height)), int(str(width))
    except ValueError:
        raise DataFormatError(f"{place}: the size {width!r} x {height!r} is not in whole pixels") from None
    if min(size) < 1 or size[0] * size[1] > MOST_PIXELS:
        raise DataFormatError(f"{place}: {size[1]} x {size[0]} pixels; an image must have 1 to {MOST_PIXELS:,}")
    return size
