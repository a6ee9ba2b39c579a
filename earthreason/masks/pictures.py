"""Masks from untrusted pictures, by one rule for labels and predictions.

The rule is that of the official reader, `cv2.imread(path, cv2.IMREAD_GRAYSCALE) != 0`: palettes and colours are turned
to grey, and every grey that is not 0 is target. Four differences are deliberate:

- Grey pixels of 16 bits keep their value. OpenCV keeps the upper 8 bits, so that 1 of 65,535 would not be target.
- A picture whose colours are all alike and whose transparency varies is refused. OpenCV drops the transparency, so
  that either every pixel or none would be target.
- The EXIF orientation of a PNG is not applied, because masks match the stored pixels of their images.
- Pixels with the non-zero nodata value of a GeoTIFF are not target. OpenCV does not know the value.
"""

from __future__ import annotations

import io
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
_SUBFILE_TYPE = 254
_REDUCED_OR_MASK = 0b101
_MOST_PAGES = 64


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
    """

    mask: np.ndarray
    image: Image.Image
    levels: int
    nodata: float | None = None


def read_mask_picture(content: bytes, formats: Sequence[str], expected: tuple[int, int] | None = None) -> MaskPicture:
    """Decode a picture as a mask.

    Args:
        content: bytes of the file.
        formats: formats that Pillow may try.
        expected: (height, width) in pixels; a picture of another size is refused before it is decoded.

    Raises:
        PictureError: the content is not a complete picture of one of the formats, or not a mask.
    """
    try:
        with Image.open(io.BytesIO(content), formats=list(formats)) as image:
            if expected is not None and (image.height, image.width) != expected:
                raise PictureError(describe_size((image.height, image.width), expected))
            _refuse_pages(image)
            image.load()
            return mask_of_picture(image)
    except PictureError:
        raise
    except UnidentifiedImageError:
        known = content.startswith((b"\x89PNG", b"II*\0", b"MM\0*"))
        fault = "damaged, or pixels of a kind that Pillow cannot read, such as 64-bit floats"
        raise PictureError(
            f"{fault if known else 'its content is not ' + ' or '.join(formats)}; save the mask as 8-bit PNG"
        ) from None
    except Exception as error:  # Pillow's plugins raise almost any type for damaged content
        raise PictureError(f"{str(error) or type(error).__name__}; save or copy the file again") from None


def describe_size(size: tuple[int, int], expected: tuple[int, int]) -> str:
    """Describe a mask of the wrong (height, width), and what to do."""
    swapped = (size[1], size[0]) == expected
    remedy = "height and width are swapped" if swapped else "save masks at the image's own size"
    return f"mask is {size[0]}x{size[1]} (height x width), expected {expected[0]}x{expected[1]}; {remedy}"


def mask_of_picture(image: Image.Image) -> MaskPicture:
    """Convert a decoded picture to a mask.

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
    mask = pixels != 0
    if nodata is not None:
        with np.errstate(over="ignore"):
            mask &= ~np.isnan(pixels) if np.isnan(nodata) else pixels != _as_decoded(nodata, image)
    if grey.mode == "F" and (pixels[mask] != 1).any():
        raise PictureError("a float mask may contain only 0 and 1; threshold it first: `mask > 0.5` for probabilities")
    levels = int(np.count_nonzero(grey.histogram())) if grey.mode in ("1", "L") else len(np.unique(pixels))
    return MaskPicture(mask, grey, levels, nodata)


def _as_decoded(nodata: float, image: Image.Image) -> float:
    """Return the nodata value as Pillow decodes it: signed bytes as unsigned, unsigned 32-bit numbers as signed."""
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


def _refuse_pages(image: Image.Image) -> None:
    """Refuse a TIFF of several pages, unless the others are overviews or the validity mask of the first."""
    if image.format != "TIFF":
        return
    pages = int(getattr(image, "n_frames", 1))
    for page in range(1, min(pages, _MOST_PAGES)):
        image.seek(page)
        if not int(image.tag_v2.get(_SUBFILE_TYPE, 0)) & _REDUCED_OR_MASK:  # type: ignore[attr-defined]
            raise PictureError(f"a TIFF of {pages} pages; save one mask a file")
    if pages > _MOST_PAGES:
        raise PictureError(f"a TIFF of {pages} pages; save one mask a file")
    if pages > 1:
        image.seek(0)
