"""Read pictures for annotation: 8-bit RGB files unchanged; others as people see them in RGB, with their facts."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from earthreason.data.pictures import open_picture, png_bytes, rgb_content
from earthreason.errors import DataFormatError
from earthreason.geo.bands import stretch as stretch
from earthreason.geo.drivers import HEAD_BYTES, driver_of_head
from earthreason.geo.looks import shown_bands
from earthreason.geo.resolution import pixel_size as pixel_size

from .sizes import checked_size

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".jp2", ".j2k", ".webp", ".bmp")
UNREAD_SUFFIXES = (".gif", ".avif", ".heic", ".heif", ".jxl", ".psd", ".ecw", ".sid", ".vrt", ".dng", ".svg")
"""Pictures that are refused by name, so that none of a folder is passed over unsaid."""
_MODES_16 = ("I", "I;16", "I;16B", "I;16L", "I;16N")


@dataclass(frozen=True)
class SourceImage:
    """An image ready to be displayed.

    Attributes:
        content: RGB JPEG or PNG.
        height: height, pixels.
        width: width, pixels.
        ground_resolution: metres per pixel, None if the file does not state it.
        transform: a, b, c, d, e, f of the pixel-to-world transform, None without georeference.
        crs: coordinate reference system as WKT, None if the file does not state one.
    """

    content: bytes
    height: int
    width: int
    ground_resolution: float | None = None
    transform: list[float] | None = None
    crs: str | None = None

    @property
    def suffix(self) -> str:
        """File suffix, `.png` or `.jpg`."""
        return suffix_of_content(self.content)


def suffix_of_content(content: bytes) -> str:
    """Return `.png` or `.jpg`, by the first bytes of a PNG or JPEG."""
    return ".png" if content[:4] == b"\x89PNG" else ".jpg"


def read_picture(path: Path, bands: tuple[int, int, int] | None = None) -> SourceImage:
    """Read a picture as people see it; `earthreason.geo.looks` says how rasters are shown.

    The content of the file decides how it is read, not its suffix.

    Args:
        path: JPEG, PNG, TIFF, JPEG 2000, BMP or WebP.
        bands: bands for red, green and blue, from 1; None to go by what the file states.

    Raises:
        DataFormatError: the file is not readable, has several pictures, or lacks a band; the message names the file.
    """
    with path.open("rb") as file:
        driver = _driver(file.read(HEAD_BYTES), path)
    if driver in ("GTiff", "JP2OpenJPEG"):
        return _read_raster(path, driver, bands)
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as image:
            deep = image.mode in _MODES_16 or _png_depth(content) == 16
            frames = int(getattr(image, "n_frames", 1)) if image.format != "MPO" else 1  # further views, not pages
            mode = image.mode
    except Exception as error:  # Pillow's plugins raise almost any type for damaged content
        raise DataFormatError(f"{path}: not a readable picture ({error})") from None
    if frames > 1:
        raise DataFormatError(f"{path}: an animation of {frames} pictures; save the one to draw on as PNG")
    if deep or (bands is not None and (mode != "RGB" or bands != (1, 2, 3))):
        return _read_raster(path, driver, bands)
    stored, (height, width) = rgb_content(content, path)
    if mode in ("RGBA", "LA", "PA", "P", "La", "RGBa"):
        stored = _without_transparent(content, stored)
    return SourceImage(stored, height, width)


def _driver(head: bytes, path: Path) -> str:
    found = driver_of_head(head)
    if found is not None:
        return found
    if not head:
        raise DataFormatError(f"{path}: the file is empty")
    kind = "a GIF" if head.startswith(b"GIF8") else "not a JPEG, PNG, TIFF, JPEG 2000, BMP or WebP picture"
    raise DataFormatError(f"{path}: {kind}; save it as PNG or GeoTIFF")


def _without_transparent(content: bytes, stored: bytes) -> bytes:
    """Make pixels of full transparency black, as those without data are in a GeoTIFF; viewers do not show them."""
    image = open_picture(content)
    if image.mode == "P" and "transparency" not in image.info:
        return stored
    hidden = np.asarray(image.convert("RGBA").getchannel("A")) == 0
    if not hidden.any():
        return stored
    colours = _colours(stored).copy()
    colours[hidden] = 0
    return png_bytes(Image.fromarray(colours))


def _png_depth(content: bytes) -> int | None:
    """Return the bits per channel of a PNG, or None for other files; Pillow silently reduces 16-bit colours to 8."""
    return content[24] if content[:8] == b"\x89PNG\r\n\x1a\n" and len(content) > 24 else None


def same_pixels(one: Path, other: Path) -> bool:
    """Tell whether two picture files have the same pixels, however they are encoded."""
    first, second = one.read_bytes(), other.read_bytes()
    return first == second or np.array_equal(_colours(first), _colours(second))


def _colours(content: bytes) -> np.ndarray:
    return np.asarray(open_picture(content).convert("RGB"))


def _read_raster(path: Path, driver: str, bands: tuple[int, int, int] | None) -> SourceImage:
    import rasterio
    from rasterio.errors import DriverRegistrationError, NotGeoreferencedWarning, RasterioError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, driver=driver) as source:
                if source.subdatasets:
                    raise DataFormatError(
                        f"{path}: {len(source.subdatasets)} pages; save the one to draw on as a file of its own "
                        f"(gdal_translate GTIFF_DIR:1:{path.name} page.tif)"
                    )
                checked_size(source.height, source.width, str(path))
                shown = shown_bands(source, bands, str(path))
                placed = source.transform != rasterio.Affine.identity()
                transform = list(source.transform)[:6] if placed else None
                crs = source.crs.to_wkt() if source.crs else None
    except (RasterioError, DriverRegistrationError) as error:
        raise DataFormatError(f"{path}: not a readable picture ({' '.join(str(error).split())})") from None
    image = Image.fromarray(np.ascontiguousarray(shown.transpose(1, 2, 0)))  # (height, width, 3)
    resolution = pixel_size(transform, crs, image.height, image.width)
    return SourceImage(png_bytes(image), image.height, image.width, resolution, transform, crs)
