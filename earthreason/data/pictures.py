"""Decode pictures from untrusted files within limits and convert them to RGB or to a mask."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from earthreason.data.orientation import fits_turned_only, orientation_of, turned, without_orientation
from earthreason.errors import DataFormatError
from earthreason.masks.pictures import DEEP_MODES, PictureError, read_mask_picture

__all__ = [
    "ANOTHER_SIZE",
    "DEEP_MODES",
    "SoftLabels",
    "check_sizes",
    "in_8_bits",
    "label_picture",
    "mask_of",
    "open_picture",
    "picture_size",
    "rgb_content",
    "rgb_picture",
    "size_of",
    "untagged",
    "upright",
]
_log = logging.getLogger(__name__)
_BYTE = 256
_DEEP = 16
_TAGGED_CHUNKS = (b"eXIf", b"XML:com.adobe.xmp", b"Raw profile type exif")
"""What a PNG has that states an orientation; to look for it by Pillow, all pixels must be decoded."""
ANOTHER_SIZE = "label of another size"
"""Reason of samples that are left out because mask and picture differ in size."""
_FORMATS = ["JPEG", "PNG", "TIFF", "BMP", "WEBP"]


def open_picture(content: bytes) -> Image.Image:
    """Decode a complete picture.

    Pillow refuses more than 179 million pixels, three times the largest image of the release (7,617 px a side).

    Raises:
        OSError, SyntaxError, DecompressionBombError: the content is not a picture, is truncated, or is too large.
    """
    image = _opened(content)
    image.load()
    return image


def rgb_content(content: bytes, path: Path, mask: tuple[int, int] | None = None) -> tuple[bytes, tuple[int, int]]:
    """Return the encoded RGB picture of `rgb_picture` and its (height, width) in pixels."""
    picture, image = rgb_picture(content, path, mask)
    return picture, (image.height, image.width)


def rgb_picture(content: bytes, path: Path, mask: tuple[int, int] | None = None) -> tuple[bytes, Image.Image]:
    """Return an encoded RGB picture, and the decoded picture in the mode of the file.

    RGB JPEG and PNG files keep their bytes, so that nothing is lost, except an EXIF orientation, which is removed as
    `earthreason.data.orientation` describes. Grey, palette, RGBA, CMYK and TIFF pictures are encoded as RGB PNG. Of 16
    bits, the upper 8 are kept, as `cv2.imread` keeps them.

    Args:
        content: bytes of the file.
        path: name of the file in messages.
        mask: (height, width) of the mask in pixels; None if there is none.

    Raises:
        DataFormatError: the picture is incomplete, has pixels of 32 bits, or has 16 bits of which the upper 8 are
            all zero; names the file.
    """
    with _readable(path):
        image = open_picture(content)
        if image.mode == "RGB" and not image.getbbox() and content[:4] == b"\x89PNG" and content[24] == _DEEP:
            _refuse_dark(_whole_depth(content))
        try:
            tagged = orientation_of(image) != 1
        except ValueError:  # the pixels are sound, but what decodes rows would fail
            return png_bytes(in_8_bits(image)), image
        if tagged and mask is not None and fits_turned_only(mask, image):
            image = turned(image)
            return png_bytes(in_8_bits(image)), image
        if image.mode == "RGB" and image.format in ("JPEG", "MPO", "PNG"):  # MPO: a JPEG with further ones behind it
            kept = without_orientation(content) if tagged else content
            if kept is not None:
                return kept, image
        return png_bytes(in_8_bits(image)), image


def untagged(content: bytes, path: Path, mask: tuple[int, int] | None = None) -> bytes:
    """Return a picture without its EXIF orientation, as `rgb_picture` does; others keep their bytes.

    Raises:
        DataFormatError: the picture is not readable; names `path`.
    """
    return rgb_content(content, path, mask)[0] if _is_tagged(content, path) else content


def upright(content: bytes, path: Path) -> bytes:
    """Turn a picture by its EXIF orientation, for masks that were drawn on what `cv2.imread` or a viewer shows.

    Returns:
        The content itself if there is nothing to turn, else an RGB PNG.

    Raises:
        DataFormatError: the picture is not readable; names the file.
    """
    if not _is_tagged(content, path):
        return content
    with _readable(path):
        return png_bytes(in_8_bits(turned(open_picture(content))))


def _is_tagged(content: bytes, path: Path) -> bool:
    if content[:4] == b"\x89PNG" and not any(chunk in content for chunk in _TAGGED_CHUNKS):
        return False
    with _readable(path), _opened(content) as image:
        try:
            return orientation_of(image) != 1 and image.format != "TIFF"  # Pillow turns TIFFs itself
        except ValueError:
            return False


def picture_size(content: bytes, path: Path, mask: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return the (height, width) of a picture by its header, before it is decoded.

    These are those of the stored pixels, or of the turned ones if only they have the (height, width) of the `mask`.

    Raises:
        DataFormatError: the content is not a picture; names the file.
    """
    with _readable(path), _opened(content) as image:
        return mask if mask is not None and fits_turned_only(mask, image) else (image.height, image.width)


def size_of(picture: Path) -> tuple[int, int]:
    """Return the (height, width) in pixels that the header of a picture file states.

    Raises:
        DataFormatError: the file is not a picture; names it.
    """
    with _readable(picture), _opened(picture) as image:
        return image.height, image.width


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Pillow's plugins raise almost any type for damaged content
        reason = str(error) or type(error).__name__
        message = f"{path}: not a readable image ({reason}); restore or remove the sample"
        raise DataFormatError(message, "unreadable image") from None


def _opened(content: bytes | Path) -> Image.Image:
    try:
        return Image.open(content if isinstance(content, Path) else io.BytesIO(content), formats=_FORMATS)
    except UnidentifiedImageError:
        raise OSError(f"its content is not {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}") from None


def in_8_bits(image: Image.Image) -> Image.Image:
    """Convert a decoded picture to RGB; of 16 bits, the upper 8 are kept.

    Raises:
        ValueError: the pixels have 32 bits, or the upper 8 of 16 are all zero.
    """
    if image.mode not in DEEP_MODES:
        return image.convert("RGB")
    if not image.mode.startswith("I;16"):
        raise ValueError(f"mode {image.mode}; stretch it to 8 bits a channel first")
    pixels = np.asarray(image)
    _refuse_dark(pixels)
    return Image.fromarray((pixels // _BYTE).astype(np.uint8)).convert("RGB")


def _whole_depth(content: bytes) -> np.ndarray:
    """Decode a PNG of 16 bits a colour, of which Pillow gives the upper 8 only."""
    import cv2  # takes 0.1 s

    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return np.zeros(1, np.uint16) if pixels is None else pixels


def _refuse_dark(pixels: np.ndarray) -> None:
    if 0 < pixels.max() < _BYTE:
        raise ValueError(
            f"16 bits, but no value above {pixels.max()}, so the upper 8 bits are black; "
            "stretch it to 8 bits a channel first"
        )


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
        label = read_mask_picture(content, _FORMATS)
    except PictureError as error:
        message = f"{path}: not a readable label ({error}); restore or remove the sample"
        raise DataFormatError(message, "unreadable label") from None
    if notes is not None:
        notes.note(path, label.levels)
    return label.mask, label.image


def png_bytes(image: Image.Image) -> bytes:
    """Encode a picture as PNG, without EXIF."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=b"")
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
            ANOTHER_SIZE,
        )
