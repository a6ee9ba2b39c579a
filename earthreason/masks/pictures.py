"""Masks from untrusted pictures, by one rule for labels and predictions.

The rule is that of the official reader, `cv2.imread(path, cv2.IMREAD_GRAYSCALE) != 0`: palettes and colours are turned
to grey, and every grey that is not 0 is target. So a MINISWHITE TIFF, in which 0 is white, is the inverse of what it
stores. Five differences are deliberate:

- Grey pixels of 16 bits keep their value. OpenCV keeps the upper 8 bits, so that 1 of 65,535 would not be target.
- A picture whose colours are all alike and whose transparency varies is refused. OpenCV drops the transparency, so
  that either every pixel or none would be target.
- The EXIF orientation of a PNG is not applied, because masks match the stored pixels of their images.
- The transparency of a TIFF is dropped as that of a PNG is. OpenCV multiplies the colours of a TIFF by it.
- Pixels of a GeoTIFF that have its non-zero nodata value, or that its validity mask leaves out, are not target. OpenCV
  knows neither.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow modes with more than 8 bits a channel."""
_GREY = (9798 / 32768, 19235 / 32768, 3735 / 32768, -0.5)
"""Weights of red, green and blue as libpng has them (ITU-R BT.601 in 1/32768); the last cancels Pillow's rounding."""
_GDAL_NODATA = 42113
_SAMPLE_FORMAT = 339
_PHOTOMETRIC, _MINISWHITE, _MINISBLACK, _VALIDITY = 262, 0, 1, 4
_SUBFILE_TYPE, _REDUCED, _MASK = 254, 0b001, 0b100
_MOST_PAGES = 64
_SHORT = 3
_READABLE_TAGS = [
    (struct.pack(form, _PHOTOMETRIC, _SHORT, 1, _VALIDITY), struct.pack(form, _PHOTOMETRIC, _SHORT, 1, _MINISBLACK))
    for form in ("<HHIH2x", ">HHIH2x", "<HHQH6x")
]
"""Entries of a TIFF and a BigTIFF (Pillow reads only those of Intel's byte order) that say that a page is a
validity mask, and those with which Pillow reads it."""


class PictureError(ValueError):
    """Picture that cannot be read, or that is not a mask."""


@dataclass(frozen=True)
class MaskPicture:
    """A mask and what its picture looked like.

    Attributes:
        mask: (height, width) bool.
        image: decoded picture with one channel.
        levels: number of different values; a mask without soft edges has one or two.
        nodata: nodata value whose pixels were left out; None if there is none or it is 0.
        white_is_zero: whether the picture is a MINISWHITE TIFF.
    """

    mask: np.ndarray
    image: Image.Image
    levels: int
    nodata: float | None = None
    white_is_zero: bool = False


def read_mask_picture(content: bytes, formats: Sequence[str], expected: tuple[int, int] | None = None) -> MaskPicture:
    """Decode a picture as a mask.

    Args:
        content: bytes of the file.
        formats: formats that Pillow may try.
        expected: (height, width) in pixels; a picture of another size is refused before it is decoded.

    Raises:
        PictureError: the content is not a complete picture of one of the formats, or not a mask.
    """
    if content.startswith((b"II", b"MM")):
        # Where uncompressed pixels are the same bytes, a 4 becomes a 1, which is as much target.
        for entry, readable in _READABLE_TAGS:
            content = content.replace(entry, readable)
    try:
        with Image.open(io.BytesIO(content), formats=list(formats)) as image:
            if expected is not None and (image.height, image.width) != expected:
                raise PictureError(describe_wrong_size((image.height, image.width), expected))
            valid = _read_other_pages(image)
            image.load()
            return mask_of_picture(image, valid)
    except PictureError:
        raise
    except UnidentifiedImageError:
        known = content.startswith((b"\x89PNG", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))
        fault = "damaged, or pixels of a kind that Pillow cannot read, such as 64-bit floats"
        raise PictureError(
            f"{fault if known else 'its content is not ' + ' or '.join(formats)}; save the mask as 8-bit PNG"
        ) from None
    except Exception as error:  # Pillow's plugins raise almost any type for damaged content
        raise PictureError(f"{str(error) or type(error).__name__}; save the mask again, as 8-bit PNG") from None


def describe_wrong_size(size: tuple[int, int], expected: tuple[int, int], own: tuple[int, int] | None = None) -> str:
    """Describe a mask of the wrong size, and what to do.

    Args:
        size: (height, width) of the mask in pixels.
        expected: (height, width) that it should have.
        own: (height, width) of the image if masks are expected on the canvas that the `info` of their file states.
    """
    remedy = "save masks at the image's own size"
    if own is not None and size == own:
        remedy = "this is the image's own size, so remove `grid` from the info of the file"
    elif own is not None:
        remedy = "save masks on the canvas that `grid` in the info of the file states, or correct it"
    elif (size[1], size[0]) == expected:
        remedy = "height and width are swapped"
    elif size[0] == size[1]:
        names = '"letterbox-{0}", "corner-{0}" or "stretch-{0}"'.format(size[0])
        remedy += f"; if they are on a canvas, write JSON whose info states it: the `grid` {names}"
    return f"mask is {size[0]}x{size[1]} (height x width), expected {expected[0]}x{expected[1]}; {remedy}"


def mask_of_picture(image: Image.Image, valid: np.ndarray | None = None) -> MaskPicture:
    """Convert a decoded picture to a mask.

    Args:
        image: decoded picture.
        valid: (height, width) bool, pixels that can be target; None if all can.

    Raises:
        PictureError: only the transparency varies, or a pixel is a float other than 0, 1 and nodata.
    """
    grey = image
    if image.mode not in ("1", "L", *DEEP_MODES):
        grey = image.convert("RGB").convert("L", _GREY)
    if image.mode in ("LA", "PA", "RGBA") or (image.mode == "P" and "transparency" in image.info):
        _refuse_shape_in_alpha(image, grey)
    nodata = _nodata_of(image)
    if nodata is not None and grey is not image:
        raise PictureError("a GeoTIFF with a nodata value has one channel here; save the mask as 8-bit grey")
    pixels = np.asarray(grey)
    white_is_zero = getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _MINISWHITE
    if white_is_zero and image.mode in ("I", "F"):
        raise PictureError("a TIFF that is MINISWHITE and has 32-bit pixels; save the mask as 8-bit PNG")
    if white_is_zero and image.mode in DEEP_MODES:  # Pillow inverts only pixels of up to 8 bits
        pixels = np.iinfo(np.uint16).max - pixels
    mask = pixels != 0
    if valid is not None:
        mask &= valid
    if nodata is not None:
        with np.errstate(over="ignore"):
            mask &= ~np.isnan(pixels) if np.isnan(nodata) else pixels != _as_decoded(nodata, image)
    if grey.mode == "F" and (pixels[mask] != 1).any():
        raise PictureError("a float mask may contain only 0 and 1; threshold it first: `mask > 0.5` for probabilities")
    levels = int(np.count_nonzero(grey.histogram())) if grey.mode in ("1", "L") else len(np.unique(pixels))
    return MaskPicture(mask, grey, levels, nodata, white_is_zero)


def _as_decoded(nodata: float, image: Image.Image) -> float:
    """Return the nodata value as pixels are decoded.

    Signed bytes become unsigned, unsigned 32-bit numbers signed, and MINISWHITE pixels are inverted.
    """
    if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _MINISWHITE:
        return {"1": 1, "L": 255}.get(image.mode, np.iinfo(np.uint16).max) - nodata
    if image.mode == "L" and getattr(image, "tag_v2", {}).get(_SAMPLE_FORMAT) in (2, (2,)):
        return nodata % 256
    return nodata - (1 << 32) if image.mode == "I" and nodata > np.iinfo(np.int32).max else nodata


def _refuse_shape_in_alpha(image: Image.Image, grey: Image.Image) -> None:
    low, high = grey.getextrema()
    alpha = image.convert("RGBA").getchannel("A").getextrema()
    if low == high and alpha[0] != alpha[1]:
        raise PictureError(
            "every pixel has the same grey, and only the transparency varies; save the mask as one channel of 0 and 255"
        )


def _nodata_of(image: Image.Image) -> float | None:
    try:
        value = float(str(getattr(image, "tag_v2", {}).get(_GDAL_NODATA, "0")).strip("\0 "))
    except ValueError:
        raise PictureError("the nodata value of the GeoTIFF (tag 42113) is not a number; remove the tag") from None
    return None if value == 0 else value


def _read_other_pages(image: Image.Image) -> np.ndarray | None:
    """Return the validity mask of a GeoTIFF, (height, width) bool, or None if it has none.

    Raises:
        PictureError: there is another page than the validity mask, overviews of the first page and their masks.
    """
    if image.format != "TIFF":
        return None
    valid = None
    size = image.size
    pages = int(getattr(image, "n_frames", 1))
    for page in range(1, min(pages, _MOST_PAGES)):
        image.seek(page)
        kind = int(image.tag_v2.get(_SUBFILE_TYPE, 0))  # type: ignore[attr-defined]
        if not kind & (_REDUCED | _MASK):
            raise PictureError(f"a TIFF of {pages} pages; save one mask a file")
        if kind & _MASK and not kind & _REDUCED and image.size == size:
            valid = np.asarray(image) != 0
    if pages > _MOST_PAGES:
        raise PictureError(f"a TIFF of {pages} pages; save one mask a file")
    if pages > 1:
        image.seek(0)
    return valid
