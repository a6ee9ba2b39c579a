"""Large pictures and masks in little memory: read by strips, kept as tiles on disk or as bits.

Pillow decodes a picture only as a whole: 192 MB for 8,000 x 8,000 pixels, and several times that while it is converted.
"""

from __future__ import annotations

import ctypes
import tempfile
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from earthreason.data.pictures import in_8_bits, mask_of, open_picture
from earthreason.errors import DataFormatError

Box = tuple[int, int, int, int]
"""Left, top, width and height of a part, in pixels of the original."""
_STRIP = 512
_KEPT = 4
_CACHE_MB = 16
"""Memory in which GDAL keeps decoded blocks; by default it takes 5 % of the machine's."""
_GREY, _RGB = 1, 3
_POOLS = -8
"""M_ARENA_MAX of glibc's malloc.h."""
_LOCK = threading.Lock()
"""Held while a large file is read, so that several requests do not need the memory of several."""


class LargePictures:
    """Pictures copied into tiles on disk, the last few of them; the copies are deleted when the program ends."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="earthreason-tiles-", ignore_cleanup_errors=True)
        self._copies: OrderedDict[tuple[Path, int], Path] = OrderedDict()
        self._made = 0

    def part(self, path: Path, side: int, box: Box | None = None) -> Image.Image:
        """Return a part of a picture, or all of it, as RGB with at most `side` pixels per side.

        Raises:
            OSError, SyntaxError, ValueError, DecompressionBombError: the file is not a readable picture.
            DataFormatError: the box is outside the image.
        """
        from rasterio.enums import Resampling
        from rasterio.windows import Window

        with _LOCK, _gdal() as rasterio, rasterio.open(self._copy(path, rasterio)) as tiles:
            left, top, width, height = checked_box(box or (0, 0, tiles.width, tiles.height), tiles.width, tiles.height)
            shrink = min(1.0, side / max(width, height))
            shape = tiles.count, max(1, round(height * shrink)), max(1, round(width * shrink))
            window = Window(left, top, width, height)
            pixels = tiles.read(window=window, out_shape=shape, resampling=Resampling.average)
        image = Image.fromarray(pixels[0] if tiles.count == _GREY else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
        return image.convert("RGB")

    def _copy(self, path: Path, rasterio: Any) -> Path:
        key = path, path.stat().st_mtime_ns
        if key in self._copies:
            self._copies.move_to_end(key)
            return self._copies[key]
        while len(self._copies) >= _KEPT:
            self._copies.popitem(last=False)[1].unlink(missing_ok=True)
        self._made += 1
        target = Path(self._folder.name) / f"{self._made}.tif"
        try:
            _write_tiles(path, target)
            give_back_memory()
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        self._copies[key] = target
        return target


def _write_tiles(path: Path, target: Path) -> None:
    import rasterio

    try:
        with rasterio.open(path) as source:
            if _is_plain(source) and _is_whole(path, source.driver):
                _save_tiles(target, source.height, source.width, source.count, _strips(source))
                return
    except (OSError, SyntaxError):  # rasterio's errors are OSErrors
        pass  # Pillow reads other formats, and says what is wrong with a damaged file
    image = in_8_bits(open_picture(path.read_bytes()))
    cuts = range(0, image.height, _STRIP)
    parts = (np.asarray(image.crop((0, top, image.width, min(image.height, top + _STRIP)))) for top in cuts)
    _save_tiles(target, image.height, image.width, _RGB, (part.transpose(2, 0, 1) for part in parts))


def _is_plain(source: Any) -> bool:
    """Tell whether GDAL gives a dataset's pixels as Pillow does: 8 bits, grey or RGB, without palette and alpha."""
    from rasterio.enums import ColorInterp

    colours = tuple(source.colorinterp)
    rgb = colours == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    grey = colours == (ColorInterp.gray,) and source.driver in ("JPEG", "PNG")  # a grey TIFF may store white as 0
    fewer_bits = "NBITS" in source.tags(1, ns="IMAGE_STRUCTURE")  # Pillow scales them to 8, GDAL does not
    return (rgb or grey) and set(source.dtypes) == {"uint8"} and not fewer_bits


def _is_whole(path: Path, driver: str) -> bool:
    """Tell whether a PNG has all its chunks undamaged; GDAL fills what is missing with black, and refuses other kinds.

    Raises:
        OSError, SyntaxError: it is not a picture.
    """
    if driver == "PNG":
        with Image.open(path) as image:
            image.verify()  # checksums, without decoding
    return True


def _is_grey_png(source: Any) -> bool:
    from rasterio.enums import ColorInterp

    opaque = source.driver == "PNG" and source.nodata is None
    return opaque and tuple(source.colorinterp) == (ColorInterp.gray,) and source.dtypes == ("uint8",)


def _strips(source: Any) -> Iterator[np.ndarray]:
    """Yield (bands, rows, width) uint8."""
    from rasterio.windows import Window

    height, width = source.height, source.width
    for top in range(0, height, _STRIP):
        yield source.read(window=Window(0, top, width, min(_STRIP, height - top)))


def _save_tiles(target: Path, height: int, width: int, bands: int, strips: Iterator[np.ndarray]) -> None:
    import rasterio
    from rasterio.windows import Window

    form = {"driver": "GTiff", "dtype": "uint8", "height": height, "width": width, "count": bands}
    tiles = {"tiled": True, "blockxsize": _STRIP, "blockysize": _STRIP, "compress": "zstd", "zstd_level": 1}
    with rasterio.open(target, "w", **form, **tiles, interleave="pixel", bigtiff="if_safer") as writer:
        top = 0
        for strip in strips:
            writer.write(strip, window=Window(0, top, width, strip.shape[1]))
            top += strip.shape[1]


@contextmanager
def _gdal() -> Iterator[Any]:
    """Bound GDAL's memory, and make it refuse damaged JPEGs instead of filling them with grey."""
    import rasterio

    with warnings.catch_warnings(), rasterio.Env(GDAL_CACHEMAX=_CACHE_MB, GDAL_ERROR_ON_LIBJPEG_WARNING=True):
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        yield rasterio


def checked_box(box: Box, width: int, height: int) -> Box:
    """Return a box that is inside an image of this size.

    Raises:
        DataFormatError: it is not.
    """
    left, top, across, down = box
    if left < 0 or top < 0 or across < 1 or down < 1 or left + across > width or top + down > height:
        raise DataFormatError(f"the box {box} is outside the image of {width} x {height} pixels")
    return box


class PackedMask:
    """A mask with one bit per pixel: 8 MB for 8,000 x 8,000 pixels."""

    def __init__(self, strips: Iterable[np.ndarray]) -> None:
        """Pack a mask given as (rows, width) bool strips, from top to bottom."""
        packed = []
        for strip in strips:
            packed.append(np.packbits(strip, axis=1))  # (rows, width / 8)
            self.width = strip.shape[1]
        self._rows = np.concatenate(packed)
        self.height = len(self._rows)

    @classmethod
    def read(cls, path: Path) -> PackedMask:
        """Read a mask picture, of whatever kind `mask_of` accepts.

        Raises:
            DataFormatError: it is not readable.
        """
        with _LOCK:
            try:
                with _gdal() as rasterio, rasterio.open(path) as source:
                    if _is_grey_png(source) and _is_whole(path, source.driver):
                        return cls(strip[0] != 0 for strip in _strips(source))
            except (OSError, SyntaxError):  # rasterio's errors are OSErrors
                pass  # `mask_of` reads other kinds, and says what is wrong with a damaged file
            packed = cls([mask_of(path.read_bytes(), path)])
            give_back_memory()
            return packed

    def part(self, side: int, box: Box | None = None) -> np.ndarray:
        """Return a part, or all, with at most `side` pixels per side: bool.

        A pixel of a reduced mask is set if any of its original pixels is, so a mask of one pixel stays visible.

        Raises:
            DataFormatError: the box is outside the mask.
        """
        left, top, width, height = checked_box(box or (0, 0, self.width, self.height), self.width, self.height)
        factor = max(1, -(-max(width, height) // side))
        rows = max(1, _STRIP // factor) * factor
        strips = []
        for start in range(top, top + height, rows):
            packed = self._rows[start : min(start + rows, top + height)]
            strip = np.unpackbits(packed, axis=1, count=self.width)[:, left : left + width].astype(bool)
            strips.append(_shrink(strip, factor))
        return np.concatenate(strips)


def _shrink(mask: np.ndarray, factor: int) -> np.ndarray:
    if factor == 1:
        return mask
    padded = np.pad(mask, [(0, -side % factor) for side in mask.shape])
    blocks = padded.reshape(padded.shape[0] // factor, factor, padded.shape[1] // factor, factor)
    return np.asarray(blocks.any(axis=(1, 3)))


def give_back_memory() -> None:
    """Return freed memory to the system, where the C library can (glibc keeps it otherwise)."""
    _ask_allocator("malloc_trim", 0)


def share_memory() -> None:
    """Let all threads allocate from two pools, where the C library can; call it before threads start.

    By default glibc gives every thread a pool, and each keeps what its largest request needed.
    """
    _ask_allocator("mallopt", _POOLS, 2)


def _ask_allocator(function: str, *arguments: int) -> None:
    try:
        getattr(ctypes.CDLL(None), function)(*arguments)
    except (AttributeError, OSError, TypeError):  # not glibc
        return
