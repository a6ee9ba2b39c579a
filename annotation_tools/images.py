"""Pictures for annotation: 8-bit RGB files as they are; GeoTIFF and 16-bit pictures stretched, with what they know."""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from annotation_tools.formats.base import checked_size
from earthreason.data.pictures import open_picture, png_bytes, rgb_content
from earthreason.errors import DataFormatError

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
PERCENTILES = (2.0, 98.0)
_EXIF_ORIENTATION = 0x0112
_MODES_16 = ("I", "I;16", "I;16B", "I;16L", "I;16N")


@dataclass(frozen=True)
class SourceImage:
    """An image ready to be shown.

    Attributes:
        content: bytes of an RGB JPEG or PNG.
        height: pixels.
        width: pixels.
        ground_resolution: metres per pixel, None where the file does not tell.
        transform: a, b, c, d, e, f of the pixel-to-world map, None without georeference.
        crs: of the world coordinates, as WKT, None where the file states none.
    """

    content: bytes
    height: int
    width: int
    ground_resolution: float | None = None
    transform: list[float] | None = None
    crs: str | None = None

    @property
    def suffix(self) -> str:
        """`.png` or `.jpg`, by the first bytes."""
        return suffix_of_content(self.content)


def suffix_of_content(content: bytes) -> str:
    """`.png` or `.jpg`, by the first bytes of a picture that is one of both."""
    return ".png" if content[:4] == b"\x89PNG" else ".jpg"


def read_picture(path: Path, bands: tuple[int, int, int] | None = None) -> SourceImage:
    """Read a picture; more than 8 bits a channel are stretched from the 2nd to the 98th percentile of each band.

    Args:
        path: JPEG, PNG or TIFF.
        bands: of a TIFF or 16-bit PNG that are red, green and blue, from 1; None takes the first three, or the only one
            three times.

    Raises:
        DataFormatError: not readable, or a band it does not have; names the file.
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
    """Bits a channel of a PNG, None for anything else; Pillow shows 16-bit colours as 8 bits and says nothing."""
    return content[24] if content[:8] == b"\x89PNG\r\n\x1a\n" and len(content) > 24 else None


def without_rotation(content: bytes) -> bytes:
    """A picture as it lies in the file: browsers obey an EXIF rotation, but masks lie on the stored pixels.

    Args:
        content: of a readable JPEG or PNG; it is returned as it is where nothing would be turned.
    """
    with Image.open(io.BytesIO(content)) as image:
        if image.getexif().get(_EXIF_ORIENTATION, 1) == 1:
            return content
        return png_bytes(Image.fromarray(np.asarray(image.convert("RGB"))))


def same_pixels(one: Path, other: Path) -> bool:
    """Whether two picture files show the same colours, however they are encoded."""
    first, second = one.read_bytes(), other.read_bytes()
    return first == second or np.array_equal(_colours(first), _colours(second))


def _colours(content: bytes) -> np.ndarray:
    return np.asarray(open_picture(content).convert("RGB"))


def stretch(bands: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Bring each band to 0 to 255 between its percentiles: (n, height, width) of any number to uint8.

    Args:
        bands: (n, height, width).
        valid: (height, width) bool, which pixels hold data; the others become 0.
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

    with path.open("rb") as file:  # named, for other formats of GDAL may send it to further files and addresses
        driver = "GTiff" if _png_depth(file.read(32)) is None else "PNG"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, driver=driver) as source:
                chosen = bands or ((1, 2, 3) if source.count >= 3 else (1, 1, 1))
                if max(chosen) > source.count or min(chosen) < 1:
                    raise DataFormatError(f"{path}: has {source.count} bands, so --bands {chosen} cannot be read")
                checked_size(source.height, source.width, str(path))
                pixels = source.read(list(chosen))
                valid = source.dataset_mask() > 0
                placed = source.transform != rasterio.Affine.identity()
                transform = list(source.transform)[:6] if placed else None
                crs = source.crs.to_wkt() if source.crs else None
    except RasterioError as error:
        raise DataFormatError(f"{path}: not a TIFF or PNG that can be read ({error})") from None
    shown = pixels if pixels.dtype == np.uint8 else stretch(pixels.astype(np.float64), valid)
    picture = _encoded(shown)
    resolution = pixel_size(transform, crs, picture.height, picture.width)
    return SourceImage(picture.content, picture.height, picture.width, resolution, transform, crs)


def _encoded(bands: np.ndarray) -> SourceImage:
    colours = np.repeat(bands, 3, axis=0) if bands.shape[0] == 1 else bands
    image = Image.fromarray(np.ascontiguousarray(colours.transpose(1, 2, 0)))  # (height, width, 3)
    return SourceImage(png_bytes(image), image.height, image.width)


def pixel_size(transform: list[float] | None, crs: str | None, height: int, width: int) -> float | None:
    """Metres per pixel on the ground: the root of the area of the pixel at the image's middle, on the ellipsoid.

    What a projection stretches counts: a metre of EPSG:3857 is half a metre at 60 degrees north.

    Args:
        transform: a, b, c, d, e, f of the pixel-to-world map.
        crs: of the world coordinates; one of a plane that is nowhere on a globe has its units taken as they are.
        height: of the image, pixels.
        width: of the image, pixels.

    Returns:
        Six significant digits; None where the place is unknown or lies outside what the CRS can describe.
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
