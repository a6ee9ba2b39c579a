"""Decode label pictures into numbers or colours, without turning any of them into target or background unsaid."""

from __future__ import annotations

import io
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from earthreason.errors import DataFormatError
from earthreason.masks.pictures import DEEP_MODES, PictureError, read_mask_picture

BACKGROUND = -1
_FORMATS = ["PNG", "TIFF", "BMP"]
_OPAQUE = 255
_WHITE = 255
_DEEP = 16
_MOST_VALUES = 65_536
_LOSSY = {b"\xff\xd8\xff": "JPEG", b"RIFF": "WebP", b"GIF8": "GIF", b"\0\0\0\x0cjP  ": "JPEG 2000"}


@dataclass(frozen=True)
class LabelValues:
    """What a label picture holds.

    Attributes:
        size: height and width, pixels.
        is_colour: whether values are colours, 0xRRGGBB; otherwise they are grey levels or indices.
        counts: number of pixels by value, background left out.
        indices: value by its index in the palette, for values that occur.
    """

    size: tuple[int, int]
    is_colour: bool
    counts: Counter[int]
    indices: dict[int, int] = field(default_factory=dict)


def read_label_picture(path: Path) -> tuple[np.ndarray, LabelValues]:
    """Decode a label picture; return its (height, width) int64 values, BACKGROUND where it has none, and their counts.

    Background is 0, black, or, in pictures with transparency, what is transparent. Palettes are read as colours; those
    that only repeat their indices, or have one colour for several, as indices.

    Raises:
        DataFormatError: the picture is not readable, lossy, has several pages, soft transparency, 16 bits a colour, or
            more than 65,536 values.
    """
    content = path.read_bytes()
    lossy = next((name for start, name in _LOSSY.items() if content.startswith(start)), None)
    if lossy is not None:
        raise DataFormatError(f"{path}: {lossy} changes the values of pixels, so it cannot hold a mask; save it as PNG")
    try:
        values, is_colour, indices = _values(content)
    except PictureError as error:
        raise DataFormatError(f"{path}: not a readable label picture ({error})") from None
    counts = _counted(values)
    if len(counts) > _MOST_VALUES:
        raise DataFormatError(f"{path}: {len(counts):,} values; is it the picture itself, rather than a mask?")
    here = {index: value for index, value in indices.items() if value in counts}
    return values, LabelValues((values.shape[0], values.shape[1]), is_colour, counts, here)


def colour_of(text: str) -> int | None:
    """Return 0xRRGGBB of `#rrggbb`, `#rgb`, `rrggbb` or `r,g,b`; None for other texts and plain numbers."""
    text = text.strip().casefold()
    parts = re.fullmatch(r"(\d{1,3}), *(\d{1,3}), *(\d{1,3})", text)
    if parts is not None and max(map(int, parts.groups())) <= _WHITE:
        red, green, blue = map(int, parts.groups())
        return (red << 16) | (green << 8) | blue
    digits = text.removeprefix("#")
    if len(digits) == 3 and text.startswith("#"):
        digits = "".join(digit * 2 for digit in digits)
    if not re.fullmatch(r"[0-9a-f]{6}", digits) or (digits.isdecimal() and not text.startswith("#")):
        return None
    return int(digits, 16)


def is_grey(colour: int) -> bool:
    """Tell whether red, green and blue of 0xRRGGBB are alike."""
    return colour % 0x010101 == 0


def _values(content: bytes) -> tuple[np.ndarray, bool, dict[int, int]]:
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if image.mode in ("1", "L", *DEEP_MODES):
                return _grey(content, is_bit=image.mode == "1")
            if int(getattr(image, "n_frames", 1)) > 1:
                raise PictureError(f"{image.n_frames} pages; save one mask a file")  # type: ignore[attr-defined]
            if image.info.get("compression") in ("jpeg", "tiff_jpeg"):
                raise PictureError("JPEG compression changes the values of pixels; save it as PNG")
            if content.startswith(b"\x89PNG") and content[24] == _DEEP:
                raise PictureError("16 bits a colour; save it with 8")
            image.load()
    except UnidentifiedImageError:
        return _grey(content, is_bit=False)  # which says what is wrong
    except PictureError:
        raise
    except Exception as error:  # Pillow's plugins raise almost any type for damaged content
        raise PictureError(f"{str(error) or type(error).__name__}; save the mask again, as PNG") from None
    return _of_palette(image) if image.mode == "P" else _of_colours(image)


def _grey(content: bytes, is_bit: bool) -> tuple[np.ndarray, bool, dict[int, int]]:
    """Return grey levels by the rules of `earthreason.masks.pictures` for nodata, validity and MINISWHITE."""
    picture = read_mask_picture(content, _FORMATS)
    if picture.image.info.get("compression") in ("jpeg", "tiff_jpeg"):
        raise PictureError("JPEG compression changes the values of pixels; save it as PNG")
    values = np.asarray(picture.image).astype(np.int64)
    if picture.white_is_zero and picture.image.mode in DEEP_MODES:
        values = np.iinfo(np.uint16).max - values
    if is_bit:
        values *= _WHITE
    return np.where(picture.mask, values, BACKGROUND), False, {1: _WHITE} if is_bit else {}


def _of_palette(image: Image.Image) -> tuple[np.ndarray, bool, dict[int, int]]:
    indices = np.asarray(image)
    used = [int(index) for index in np.unique(indices)]
    opacities = np.asarray(image.convert("RGBA").getchannel("A"))
    if (opacities != _OPAQUE).any():
        return _of_colours(image)
    palette = image.getpalette("RGB") or []
    palette += [0] * (3 * 256 - len(palette))
    table = np.array(palette, np.int64).reshape(-1, 3) @ (1 << 16, 1 << 8, 1)  # (256,) of 0xRRGGBB
    plain = all(table[index] == index * 0x010101 for index in used)
    if plain or len({int(table[index]) for index in used}) < len(used):
        values = indices.astype(np.int64)
        return np.where(values == 0, BACKGROUND, values), False, {}
    values = table[indices]
    return np.where(values == 0, BACKGROUND, values), True, {index: int(table[index]) for index in used}


def _of_colours(image: Image.Image) -> tuple[np.ndarray, bool, dict[int, int]]:
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    pixels = np.asarray(image.convert("RGBA" if has_alpha else "RGB")).astype(np.int64)
    values = pixels[..., :3] @ (1 << 16, 1 << 8, 1)  # (height, width)
    if not has_alpha or (pixels[..., 3] == _OPAQUE).all():
        return np.where(values == 0, BACKGROUND, values), True, {}
    opacities = set(np.unique(pixels[..., 3]).tolist())
    if not opacities <= {0, _OPAQUE}:
        raise PictureError(
            "its transparency has soft edges; make every pixel transparent or opaque, or save the mask as 0 and 255"
        )
    return np.where(pixels[..., 3] == 0, BACKGROUND, values), True, {}


def _counted(values: np.ndarray) -> Counter[int]:
    """Count the pixels of each value by their runs, of which labels have few."""
    flat = values.ravel()
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    lengths = np.diff(np.append(starts, flat.size))
    found, places = np.unique(flat[starts], return_inverse=True)
    sums = np.bincount(places, weights=lengths)
    return Counter({int(value): int(count) for value, count in zip(found, sums, strict=True) if value != BACKGROUND})
