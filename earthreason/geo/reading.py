"""Open rasters of any size, and read windows of them as people see them."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from earthreason.data.pictures import DEEP_MODES, open_picture, rgb_content
from earthreason.errors import DataFormatError
from earthreason.geo.bands import Stretch
from earthreason.geo.drivers import checked_driver
from earthreason.geo.grid import GeoGrid, Window
from earthreason.geo.looks import Look, look_of
from earthreason.geo.placing import grid_of
from earthreason.geo.scene import Block, Scene
from earthreason.plurals import count_of

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

logger = logging.getLogger("earthreason.geo")
MOST_PIXELS = 100 * 10**9
"""Largest scene in pixels. More is a false size in a damaged file, or needs to be cut."""
MOST_PICTURE_PIXELS = 50 * 10**6
"""Pictures without georeference below this size are decoded whole, as those of the dataset are."""
_PICTURES = ("PNG", "JPEG", "BMP", "WEBP")
_BYTE = 256
_UPPER = "upper 8 of 16 bits"
_DIM = 64
"""Brightest value of 8 bits below which a picture of 16 bits is called dark: 14 bits or fewer are used."""
_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",  # look for world files and overviews by name; folders may be long
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "YES",  # a truncated JPEG is else grey
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".never",  # files beside a raster could name a URL for its overviews
    "GDAL_CACHEMAX": 256,  # MiB
}


@contextmanager
def open_scene(path: Path, *, bands: tuple[int, ...] | None = None, stretch: Stretch | None = None) -> Iterator[Scene]:
    """Open a scene: GeoTIFF (BigTIFF, COG), VRT, JPEG 2000, PNG, JPEG, BMP or WebP of up to 100 gigapixels.

    The content of the file decides how it is read, not its suffix. A PNG, JPEG, BMP or WebP of less than 50 megapixels
    that states no place gives the pixels that the dataset would give: of 16 bits the upper 8, stored orientation. Of
    other files, 8 bits stay as they are and other numbers are stretched. Where no pixel has data, it is black.

    Windows may be read from several threads; they wait for each other.

    Args:
        path: file.
        bands: one band for grey or three for red, green and blue, from 1; None to go by what the file states.
        stretch: how numbers become 8 bits; None leaves 8 bits as they are and stretches others between percentiles 2
            and 98 of each band.

    Raises:
        DataNotFoundError: there is no such file.
        EarthReasonError: it is a folder.
        DataFormatError: the file is damaged or not read here; the message says what to do.
    """
    path = Path(path)
    driver = checked_driver(path)
    with ExitStack() as stack:
        with _environment(), _readable(path):
            source = stack.enter_context(_opened(path, driver))
            _check(source, path)
            grid = grid_of(source, str(path))
            plain = driver in _PICTURES and grid.transform is None and grid.height * grid.width < MOST_PICTURE_PIXELS
            if plain and bands is None and stretch is None and not _is_dark(source):
                scene: Scene = _picture(path, grid)
            else:
                look = look_of(source, str(path), bands, stretch)
                scene = RasterScene(path.name, grid, look.facts, path, source, look)
        yield scene


@dataclass(eq=False)
class RasterScene:
    """A `Scene` that GDAL reads in windows, from overviews where there are some.

    Attributes:
        name: file name.
        grid: where its pixels lie.
        facts: bands and limits of the stretch.
        path: file.
        source: opened file; one window is read at a time.
        look: how windows are shown.
    """

    name: str
    grid: GeoGrid
    facts: dict[str, str]
    path: Path
    source: DatasetReader
    look: Look
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that it is read from: of a mosaic also its sources, and world files and overviews beside them."""
        with self._lock, _environment():
            return (self.path, *map(Path, self.source.files))

    def read(self, window: Window, height: int, width: int) -> Block:
        """Read a window that lies inside the scene, scaled to (height, width) pixels.

        Raises:
            DataFormatError: the file is truncated or damaged.
        """
        _check_inside(window, self.grid)
        with self._lock, _environment(), _readable(self.path, window):
            return self.look.read(self.source, window, height, width)


@dataclass(eq=False)
class PictureScene:
    """A `Scene` in memory.

    Attributes:
        name: file name.
        grid: size.
        facts: how it was read.
        pixels: (height, width, 3) uint8.
        valid: (height, width) bool, False where it is transparent; None if all pixels are shown.
    """

    name: str
    grid: GeoGrid
    facts: dict[str, str]
    pixels: np.ndarray
    valid: np.ndarray | None = None

    def read(self, window: Window, height: int, width: int) -> Block:
        """Read a window that lies inside the scene, scaled to (height, width) pixels."""
        _check_inside(window, self.grid)
        rows, columns = slice(window.top, window.bottom), slice(window.left, window.right)
        pixels = self.pixels[rows, columns]
        valid = None if self.valid is None else self.valid[rows, columns]
        if (height, width) != (window.height, window.width):
            smaller = height < window.height or width < window.width
            method = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
            pixels = np.asarray(Image.fromarray(pixels).resize((width, height), method))
            if valid is not None:
                valid = valid[np.ix_(_nearest(window.height, height), _nearest(window.width, width))]
        if valid is None or valid.all():
            return Block(pixels)
        return Block(np.where(valid[..., np.newaxis], pixels, np.uint8(0)), valid)


def _nearest(length: int, wanted: int) -> np.ndarray:
    return ((np.arange(wanted) + 0.5) * length / wanted).astype(int)


def _check_inside(window: Window, grid: GeoGrid) -> None:
    inside = window.left >= 0 and window.top >= 0 and window.right <= grid.width and window.bottom <= grid.height
    if not inside or window.width < 1 or window.height < 1:
        raise ValueError(f"{window} is not inside {grid.width} x {grid.height} pixels")


def _environment() -> Any:
    import rasterio

    return rasterio.Env(**_OPTIONS)


@contextmanager
def _opened(path: Path, driver: str) -> Iterator[DatasetReader]:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    # What belongs to a linked VRT lies beside the file that the link names; world files and overviews, beside the link.
    place = path.resolve() if driver == "VRT" else path.absolute()
    with _environment(), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        source = rasterio.open(place, driver=driver, sharing=False)
    with source:
        yield source


@contextmanager
def _readable(path: Path, window: Window | None = None) -> Iterator[None]:
    from rasterio.errors import DriverRegistrationError, RasterioError

    try:
        yield
    except (RasterioError, DriverRegistrationError) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        where = "" if window is None else f" at column {window.left}, row {window.top}"
        raise DataFormatError(
            f"{path}: cannot be read{where} ({reason}); it is truncated or damaged, so get the file again"
        ) from None


def _check(source: DatasetReader, path: Path) -> None:
    if source.subdatasets:
        raise DataFormatError(
            f"{path}: {len(source.subdatasets)} pages; save the one to ask about as a file of its own "
            f"(gdal_translate {source.subdatasets[0].replace(str(path.absolute()), path.name)} page.tif)"
        )
    if not source.count or not 0 < source.height * source.width <= MOST_PIXELS:
        raise DataFormatError(
            f"{path}: states {source.width} x {source.height} pixels in {count_of(source.count, 'band')}; at most "
            f"{MOST_PIXELS // 10**9} gigapixels are read, so cut it (gdal_translate -srcwin) or get the file again"
        )


def _is_dark(source: DatasetReader) -> bool:
    """Tell whether a picture of 16 bits is black in the upper 8; then the dataset refuses it, and it is stretched."""
    return source.dtypes[0] == "uint16" and all(
        source.read(band, window=((row, row + 1), (0, source.width))).max() < _BYTE
        for row in range(source.height)
        for band in range(1, min(source.count, 3) + 1)
    )


def _picture(path: Path, grid: GeoGrid) -> PictureScene:
    content = path.read_bytes()
    try:
        image = open_picture(content)
        frames = int(getattr(image, "n_frames", 1)) if image.format != "MPO" else 1  # further views, not pages
        stored, size = rgb_content(content, path)
        pixels = np.asarray(open_picture(stored).convert("RGB"))
    except Exception as error:  # Pillow's plugins raise almost any type for damaged content
        reason = str(error.__cause__ or error).removeprefix(f"{path}: ").removesuffix("; restore or remove the sample")
        raise DataFormatError(f"{path}: cannot be read ({reason}); get the file again") from None
    if frames > 1:
        raise DataFormatError(f"{path}: an animation of {frames} pictures; save the one to ask about as PNG")
    if size != (grid.height, grid.width):
        raise DataFormatError(f"{path}: states two sizes; save it again, as PNG")
    words = _words(image, content)
    if words == _UPPER and pixels.max() < _DIM:
        logger.warning("%s: 16 bits that use only a part of their range, so it looks dark; see --stretch", path)
    valid = _shown(image)
    if valid is not None:
        pixels = np.where(valid[..., np.newaxis], pixels, np.uint8(0))
    return PictureScene(path.name, grid, {"bands": "as stored", "stretch": words}, pixels, valid)


def _shown(image: Image.Image) -> np.ndarray | None:
    """Return the (height, width) bool of pixels that are not fully transparent; None if there are no others."""
    if image.mode not in ("RGBA", "LA", "PA", "La", "RGBa") and "transparency" not in image.info:
        return None
    shown = np.asarray(image.convert("RGBA").getchannel("A")) > 0
    return None if shown.all() else shown


def _words(image: Image.Image, content: bytes) -> str:
    deep = image.mode in DEEP_MODES or (image.format == "PNG" and content[24] == 16)
    return _UPPER if deep else "8 bits as stored"
