"""Read pictures for annotation: 8-bit RGB files unchanged; GeoTIFFs and 16-bit pictures stretched, with their facts."""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from annotation_tools.sizes import checked_size
from earthreason.data.pictures import open_picture, png_bytes, rgb_content
from earthreason.errors import DataFormatError

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
PERCENTILES = (2.0, 98.0)
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
    """Read a picture; channels of more than 8 bits are stretched from the 2nd to the 98th percentile of each band.

    Args:
        path: JPEG, PNG, TIFF, BMP or WebP.
        bands: bands for red, green and blue of a TIFF or 16-bit PNG, from 1; None for the first three, or the first
            one three times.

    Raises:
        DataFormatError: the file is not readable, or lacks a band; the message names the file.
    """
    if path.suffix.lower() in (".tif", ".tiff"):
        return _read_raster(path, bands)
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as image:
            deep = image.mode in _MODES_16 or _png_depth(content) == 16
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataFormatError(f"{path}: not a readable picture ({error})") from None
    if deep:
        return _read_raster(path, bands)
    stored, (height, width) = rgb_content(content, path)
    return SourceImage(stored, height, width)


def _png_depth(content: bytes) -> int | None:
    """Return the bits per channel of a PNG, or None for other files; Pillow silently reduces 16-bit colours to 8."""
    return content[24] if content[:8] == b"\x89PNG\r\n\x1a\n" and len(content) > 24 else None


def same_pixels(one: Path, other: Path) -> bool:
    """Tell whether two picture files have the same pixels, however they are encoded."""
    first, second = one.read_bytes(), other.read_bytes()
    return first == second or np.array_equal(_colours(first), _colours(second))


def _colours(content: bytes) -> np.ndarray:
    return np.asarray(open_picture(content).convert("RGB"))


def stretch(bands: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Stretch each band linearly so that its percentiles become 0 and 255; return (n, height, width) uint8.

    Args:
        bands: (n, height, width) of any number type.
        valid: (height, width) bool, True where pixels have data; others become 0. None if all have.
    """
    out = np.zeros(bands.shape, np.uint8)
    for band, target in zip(bands, out, strict=True):
        good = np.isfinite(band) if valid is None else np.isfinite(band) & valid
        if not good.any():
            continue
        low, high = np.percentile(band[good], PERCENTILES)
        scale = 255 / (high - low) if high > low else 0.0
        target[good] = np.clip(np.round((band[good] - low) * scale), 0, 255)
    return out


def _read_raster(path: Path, bands: tuple[int, int, int] | None) -> SourceImage:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    with path.open("rb") as file:  # the driver is fixed: other GDAL formats may open further files and URLs
        driver = "GTiff" if _png_depth(file.read(32)) is None else "PNG"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, driver=driver) as source:
                chosen = bands or ((1, 2, 3) if source.count >= 3 else (1, 1, 1))
                if max(chosen) > source.count or min(chosen) < 1:
                    raise DataFormatError(f"{path}: --bands {chosen} cannot be read from {source.count} bands")
                checked_size(source.height, source.width, str(path))
                pixels = source.read(list(chosen))
                valid = source.dataset_mask() > 0
                placed = source.transform != rasterio.Affine.identity()
                transform = list(source.transform)[:6] if placed else None
                crs = source.crs.to_wkt() if source.crs else None
    except RasterioError as error:
        raise DataFormatError(f"{path}: not a readable TIFF or PNG ({error})") from None
    shown = pixels if pixels.dtype == np.uint8 else stretch(pixels.astype(np.float64), valid)
    picture = _encoded(shown)
    resolution = pixel_size(transform, crs, picture.height, picture.width)
    return SourceImage(picture.content, picture.height, picture.width, resolution, transform, crs)


def _encoded(bands: np.ndarray) -> SourceImage:
    colours = np.repeat(bands, 3, axis=0) if bands.shape[0] == 1 else bands
    image = Image.fromarray(np.ascontiguousarray(colours.transpose(1, 2, 0)))  # (height, width, 3)
    return SourceImage(png_bytes(image), image.height, image.width)


def pixel_size(transform: list[float] | None, crs: str | None, height: int, width: int) -> float | None:
    """Compute the GSD in metres per pixel: the square root of the area of the central pixel on the ellipsoid.

    The distortion of the projection is taken into account: a metre in EPSG:3857 is half a metre at 60 degrees north.

    Args:
        transform: a, b, c, d, e, f of the pixel-to-world transform.
        crs: coordinate reference system; the units of one without a geodetic base are used as they are.
        height: height of the image, pixels.
        width: width of the image, pixels.

    Returns:
        The GSD to six significant digits; None if the place is unknown or outside the domain of the CRS.
    """
    from pyproj import CRS, Transformer

    if transform is None or crs is None:
        return None
    a, b, c, d, e, f = transform
    system = CRS.from_user_input(crs)
    globe, geod = system.geodetic_crs, system.get_geod()
    if globe is None or geod is None:
        return _significant(math.sqrt(abs(a * e - b * d)) * system.axis_info[0].unit_conversion_factor)
    x, y = a * width / 2 + b * height / 2 + c, d * width / 2 + e * height / 2 + f
    corners = Transformer.from_crs(system, globe, always_xy=True).transform([x, x + a, x + b], [y, y + d, y + e])
    (east, *easts), (north, *norths) = np.degrees(np.asarray(corners) * globe.axis_info[0].unit_conversion_factor)
    if not np.isfinite([east, north, *easts, *norths]).all():
        return None
    azimuths, _, (right, down) = geod.inv([east, east], [north, north], easts, norths)
    return _significant(math.sqrt(right * down * abs(math.sin(math.radians(azimuths[1] - azimuths[0])))))


def _significant(value: float) -> float:
    return float(f"{value:.6g}")
