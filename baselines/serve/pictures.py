"""Uploaded pictures: what they are by their content, their limits, and how they are opened."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from earthreason.data.pictures import DEEP_MODES
from earthreason.errors import DataFormatError, EarthReasonError, reason_of
from earthreason.geo.grid import GeoGrid, Window
from earthreason.geo.scene import Block, Scene

from .settings import RefusedError

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two are BigTIFF
_FORMATS = ("JPEG", "PNG", "WEBP")
_LARGEST_BLOCK = 512 << 20
"""Most bytes of a tile or strip of a TIFF, which is decoded as a whole."""
_MOST_BANDS = 1000
_CLEAR = ("RGBA", "LA", "PA", "La", "RGBa")


@dataclass(frozen=True)
class Picture:
    """A picture that was checked, but not decoded.

    Attributes:
        key: SHA-256 of the content.
        path: file.
        name: name that its owner gave it.
        height: rows of the file.
        width: columns of the file.
        is_raster: whether it is a TIFF, which may have a CRS.
    """

    key: str
    path: Path
    name: str
    height: int
    width: int
    is_raster: bool

    @contextmanager
    def open(self) -> Iterator[Scene]:
        """Open the picture.

        Raises:
            DataFormatError: it is truncated or damaged.
        """
        from earthreason.geo.reading import PictureScene, open_scene

        if not self.is_raster:
            pixels, valid = decode(self.path, self.name)
            yield PictureScene(self.name, GeoGrid(*pixels.shape[:2]), {}, pixels, valid)
            return
        try:
            with open_scene(self.path) as scene:
                yield _Named(self.name, scene)
        except EarthReasonError as error:
            # The file has a name of ours, which says nothing to its owner.
            raise DataFormatError(str(error).replace(str(self.path), self.name)) from None


@dataclass(frozen=True)
class _Named:
    """A scene by the name that its owner gave it."""

    name: str
    scene: Scene

    @property
    def grid(self) -> GeoGrid:
        return self.scene.grid

    @property
    def facts(self) -> dict[str, str]:
        return self.scene.facts

    def read(self, window: Window, height: int, width: int) -> Block:
        return self.scene.read(window, height, width)


def check_picture(path: Path, name: str, most_pixels: int) -> Picture:
    """Check an uploaded file by its first bytes, before anything is decoded.

    Raises:
        RefusedError: it is no picture (415), too large (413), or damaged (422).
    """
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        key = hashlib.file_digest(file, "sha256").hexdigest()
    is_raster = head in _TIFF
    height, width = _raster_size(path, name) if is_raster else _picture_size(path, name)
    check_pixels(name, height, width, most_pixels)
    return Picture(key, path, name, height, width, is_raster)


def check_pixels(name: str, height: int, width: int, most_pixels: int) -> None:
    """Check the size of a picture.

    Raises:
        RefusedError: it has too many pixels.
    """
    if height * width > most_pixels:
        size = f"{width} x {height} px are {height * width / 1e6:.0f} megapixels"
        raise RefusedError(413, f"{name}: {size}; this server takes {most_pixels / 1e6:g}")


def _picture_size(path: Path, name: str) -> tuple[int, int]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                return image.height, image.width
    except UnidentifiedImageError:
        raise RefusedError(415, f"{name}: not a JPEG, PNG, WebP or TIFF picture") from None
    except Image.DecompressionBombError:
        raise RefusedError(413, f"{name}: the picture has too many pixels") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise RefusedError(422, f"{name}: damaged picture: {reason_of(error)}") from None


def _raster_size(path: Path, name: str) -> tuple[int, int]:
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path, driver="GTiff") as source:
                if not source.count or not source.height or not source.width:
                    raise RefusedError(422, f"{name}: the TIFF has no bands")
                if source.tags(ns="OVERVIEWS"):  # GDAL would show the pixels of that file, or of that address
                    raise RefusedError(422, f"{name}: names another file as its overviews; save it without them")
                rows, columns = source.block_shapes[0]
                bands = source.count if source.profile.get("interleave") == "pixel" else 1
                block = rows * columns * bands * np.dtype(source.dtypes[0]).itemsize
                if source.count > _MOST_BANDS:
                    raise RefusedError(413, f"{name}: {source.count} bands; save three of them")
                if block > _LARGEST_BLOCK:
                    raise RefusedError(
                        413, f"{name}: its tiles have {columns} x {rows} px; write it with smaller ones, such as 512"
                    )
                return source.height, source.width
    except (RasterioError, TypeError, ValueError) as error:
        raise RefusedError(422, f"{name}: damaged TIFF: {reason_of(error).replace(str(path), name)}") from None


def decode(file: Path, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode a picture; its pixels lie as they are stored, as those of the dataset, whatever EXIF says.

    Of 16 bits, the upper 8 are kept.

    Returns:
        (height, width, 3) uint8, and (height, width) bool, False where it is transparent; None if it is nowhere.

    Raises:
        DataFormatError: it is truncated or damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=_FORMATS) as image:
                image.load()
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise DataFormatError(f"{name}: truncated or damaged picture: {reason_of(error)}") from None
    if image.mode in DEEP_MODES:
        grey = (np.asarray(image, np.uint32) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2), None
    if image.mode in _CLEAR or "transparency" in image.info:
        clear = np.asarray(image.convert("RGBA"))
        valid = clear[..., 3] > 0
        return np.where(valid[..., None], clear[..., :3], np.uint8(0)), valid
    return np.asarray(image.convert("RGB")), None
