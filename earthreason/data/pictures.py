"""Decode pictures from untrusted files within limits and convert them to RGB or to a mask."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from earthreason.errors import DataFormatError
from earthreason.masks.pictures import DEEP_MODES, PictureError, read_mask_picture

__all__ = [
    "DEEP_MODES",
    "SoftLabels",
    "check_sizes",
    "label_picture",
    "mask_of",
    "open_picture",
    "rgb_content",
    "rgb_picture",
]
_log = logging.getLogger(__name__)
_PROBLEMS = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
FORMATS = ["JPEG", "PNG", "TIFF"]


def open_picture(content: bytes) -> Image.Image:
    """Decode a complete picture.

    Pillow refuses more than 179 million pixels, three times the largest image of the release (7,617 px a side).

    Raises:
        OSError, SyntaxError, DecompressionBombError: the content is not a picture, is truncated, or is too large.
    """
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        raise OSError(f"its content is not {', '.join(FORMATS[:-1])} or {FORMATS[-1]}") from None
    image.load()
    return image


def rgb_content(content: bytes, path: Path) -> tuple[bytes, tuple[int, int]]:
    """Return the encoded RGB picture of `rgb_picture` and its (height, width) in pixels."""
    picture, image = rgb_picture(content, path)
    return picture, (image.height, image.width)


def rgb_picture(content: bytes, path: Path) -> tuple[bytes, Image.Image]:
    """Return an encoded RGB picture, and the decoded picture in the mode of the file.

    RGB JPEG and PNG files keep their bytes, so that nothing is lost. Grey, palette, RGBA, CMYK and TIFF pictures are
    encoded as RGB PNG. An EXIF rotation is not applied, because the labels of the release match the stored pixels.

    Raises:
        DataFormatError: the picture is incomplete, or has more than 8 bits a channel; names the file.
    """
    try:
        image = open_picture(content)
        if image.mode in DEEP_MODES:
            raise ValueError(f"mode {image.mode}; stretch it to 8 bits a channel first")
        if image.mode == "RGB" and image.format in ("JPEG", "PNG"):
            return content, image
        return png_bytes(image.convert("RGB")), image
    except _PROBLEMS as error:
        message = f"{path}: not a readable image ({error}); restore or remove the sample"
        raise DataFormatError(message, "unreadable image") from None


class SoftLabels:
    """Note of labels with more than two grey levels; logs the first of one pass over a set."""

    def __init__(self) -> None:
        self._logged = False

    def note(self, path: Path, levels: int) -> None:
        """Log the label if it has more than two levels, unless an earlier one had."""
        if levels > 2 and not self._logged:
            self._logged = True
            _log.warning(
                "%s: the label has %d grey levels, and every level but 0 is target; other labels may have such edges "
                "too: `earthreason verify` counts them",
                path,
                levels,
            )


def mask_of(content: bytes, path: Path, notes: SoftLabels | None = None) -> np.ndarray:
    """Return the (height, width) bool mask of `label_picture`, which describes the arguments."""
    return label_picture(content, path, notes)[0]


def label_picture(content: bytes, path: Path, notes: SoftLabels | None = None) -> tuple[np.ndarray, Image.Image]:
    """Return a label as a (height, width) bool mask, and the decoded picture with one channel.

    Labels are read by the rule of `earthreason.masks.pictures`.

    Args:
        content: bytes of the file.
        path: name of the file in messages.
        notes: note to extend, one for each pass over a set; None if grey levels need no line in the log.

    Raises:
        DataFormatError: the picture is incomplete or not a mask; names the file.
    """
    try:
        label = read_mask_picture(content, FORMATS)
    except PictureError as error:
        message = f"{path}: not a readable label ({error}); restore or remove the sample"
        raise DataFormatError(message, "unreadable label") from None
    if notes is not None:
        notes.note(path, label.levels)
    return label.mask, label.image


def png_bytes(image: Image.Image) -> bytes:
    """Encode a picture as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def check_sizes(mask: np.ndarray, size: tuple[int, int], label: Path, image: Path) -> None:
    """Check that a mask has the (height, width) of its image.

    Raises:
        DataFormatError: the sizes differ; names both files.
    """
    if mask.shape != size:
        given = f"{mask.shape[0]}x{mask.shape[1]}"
        raise DataFormatError(
            f"{label}: the label is {given} (height x width) but {image.name} is {size[0]}x{size[1]}; they must match",
            "label of another size",
        )
