"""Pictures from strangers: decoded within limits, brought to RGB or to a mask, or refused by name."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from earthreason.errors import DataFormatError

_DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_ONE_CHANNEL = ("1", "L", "P", *_DEEP)
_PROBLEMS = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
FORMATS = ["JPEG", "PNG", "TIFF"]


def open_picture(content: bytes) -> Image.Image:
    """Decode a picture whole.

    Pillow itself refuses over 179 million pixels, three times the release's largest image (7,617 px a side).

    Raises:
        OSError, SyntaxError, DecompressionBombError: it is none, is cut off, or is too large.
    """
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        raise OSError(f"its content is not {', '.join(FORMATS[:-1])} or {FORMATS[-1]}") from None
    image.load()
    return image


def rgb_content(content: bytes, path: Path) -> tuple[bytes, tuple[int, int]]:
    """The bytes of an RGB picture and its (height, width).

    RGB JPEG and PNG files stay as they are, so that nothing is lost. Grey, palette, RGBA, CMYK and TIFF pictures are
    stored anew as RGB PNG. An EXIF rotation is not applied: the labels of the release lie on the stored pixels.

    Raises:
        DataFormatError: not a whole picture, or more than 8 bits a channel; names the file.
    """
    picture, image = rgb_picture(content, path)
    return picture, (image.height, image.width)


def rgb_picture(content: bytes, path: Path) -> tuple[bytes, Image.Image]:
    """As `rgb_content`, with the decoded picture as its file has it.

    Raises:
        DataFormatError: as `rgb_content`.
    """
    try:
        image = open_picture(content)
        if image.mode in _DEEP:
            raise ValueError(f"mode {image.mode}; stretch it to 8 bits a channel first")
        if image.mode == "RGB" and image.format in ("JPEG", "PNG"):
            return content, image
        return png_bytes(image.convert("RGB")), image
    except _PROBLEMS as error:
        raise DataFormatError(f"{path}: not a readable image ({error}); restore or remove the sample") from None


def mask_of(content: bytes, path: Path) -> np.ndarray:
    """A label as a (height, width) bool mask: any non-zero pixel is target, in 1, 8 or 16 bits.

    An RGB or RGBA label is taken if its colours are equal (a grey picture stored in colour).

    Raises:
        DataFormatError: not a whole picture, or coloured; names the file.
    """
    try:
        image = open_picture(content)
        if image.mode in _ONE_CHANNEL:
            return np.asarray(image) != 0
        colours = np.asarray(image.convert("RGB"))
        if (colours != colours[..., :1]).any():
            raise ValueError(f"mode {image.mode} with colours; a label has one channel")
        return colours[..., 0] != 0
    except _PROBLEMS as error:
        raise DataFormatError(f"{path}: not a readable label ({error}); restore or remove the sample") from None


def png_bytes(image: Image.Image) -> bytes:
    """A picture as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def check_sizes(mask: np.ndarray, size: tuple[int, int], label: Path, image: Path) -> None:
    """Refuse a (height, width) mask that is not of the image's size.

    Raises:
        DataFormatError: the sizes differ; names both files.
    """
    if mask.shape != size:
        found = f"{mask.shape[0]}x{mask.shape[1]}"
        raise DataFormatError(
            f"{label}: the label is {found} (height x width) but {image.name} is {size[0]}x{size[1]}; they must match"
        )
