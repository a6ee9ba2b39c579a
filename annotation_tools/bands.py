"""Choose the bands of a raster that people see, and bring them to 8 bits of red, green and blue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from earthreason.errors import DataFormatError

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

PERCENTILES = (2.0, 98.0)
_WHITE = 255
_OTHER_COLOURS = ("cyan", "magenta", "yellow", "black", "hue", "saturation", "lightness", "Y", "Cb", "Cr")
"""Meanings of bands that are colours, but not red, green and blue; GDAL converts most such files itself."""


def stretch(bands: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Stretch each band linearly so that its percentiles become 0 and 255; return (n, height, width) uint8.

    If both percentiles are the same value, because few pixels have another, its least and largest value are taken
    instead. A band of a single value becomes 0.

    Args:
        bands: (n, height, width) of any real number type.
        valid: (height, width) bool, True where pixels have data; others become 0. None if all have.
    """
    out = np.zeros(bands.shape, np.uint8)
    for band, target in zip(bands, out, strict=True):
        good = np.isfinite(band) if valid is None else np.isfinite(band) & valid
        if not good.any():
            continue
        values = band[good].astype(np.float64)
        low, high = np.percentile(values, PERCENTILES)
        if low == high:
            low, high = values.min(), values.max()
        scale = _WHITE / (high - low) if high > low else 0.0
        target[good] = np.clip(np.round((values - low) * scale), 0, _WHITE)
    return out


def chosen_bands(source: DatasetReader, wanted: tuple[int, int, int] | None, place: str) -> tuple[int, ...]:
    """Return the numbers of the bands to show, from 1: three for red, green and blue, or one that is grey or a palette.

    Without a wish, what the file states of its bands decides: red, green and blue by their colour interpretation or
    their names; then a single band beside transparency; then, as in GIS programs, the first three.

    Args:
        source: opened raster.
        wanted: bands for red, green and blue; None to go by the file.
        place: file, for messages.

    Raises:
        DataFormatError: a wanted band is missing, or the file does not say how two bands are to be shown.
    """
    if wanted is not None:
        if max(wanted) > source.count or min(wanted) < 1:
            listed = ",".join(map(str, wanted))
            raise DataFormatError(f"{place}: --bands {listed} cannot be read from {source.count} bands")
        return wanted
    meanings = [meaning.name for meaning in source.colorinterp]
    for names in (meanings, [(name or "").strip().casefold() for name in source.descriptions]):
        if all(colour in names for colour in ("red", "green", "blue")):
            return tuple(names.index(colour) + 1 for colour in ("red", "green", "blue"))
    if found := [name for name in _OTHER_COLOURS if name in meanings]:
        raise DataFormatError(
            f"{place}: its bands are {', '.join(found)}; convert it to red, green and blue, or use --bands"
        )
    shown = [number for number, meaning in enumerate(meanings, start=1) if meaning != "alpha"]
    if "palette" in meanings:
        return (meanings.index("palette") + 1,)
    if len(shown) == 1:
        return (shown[0],)
    if len(shown) == 2:
        raise DataFormatError(
            f"{place}: has two bands and does not say how to show them; choose with --bands, such as 1,1,1"
        )
    if not shown:
        raise DataFormatError(f"{place}: has nothing but transparency; choose a band with --bands, such as 1,1,1")
    return tuple(shown[:3])


def shown_bands(source: DatasetReader, wanted: tuple[int, int, int] | None, place: str) -> np.ndarray:
    """Read the bands of `chosen_bands` as people see them; return (3, height, width) uint8.

    8 bits stay as they are, palettes become their colours, less than 8 bits become black to white, and other numbers
    are stretched. Pixels without data (nodata value, validity mask, full transparency, NaN) are black.

    Raises:
        DataFormatError: the pixels are complex numbers, or the file leaves out all of them.
    """
    numbers = chosen_bands(source, wanted, place)
    if any(source.dtypes[number - 1].startswith("complex") for number in numbers):
        raise DataFormatError(f"{place}: complex numbers have no colours; save the amplitude as a band of its own")
    valid = _valid(source, numbers, place)
    out = np.zeros((3, source.height, source.width), np.uint8)
    read: dict[int, np.ndarray] = {}
    for target, number in zip(out, numbers if len(numbers) == 3 else numbers * 3, strict=True):
        if number not in read:
            read[number] = _band(source, number, valid)
        band = read[number]  # (height, width), or (3, height, width) of a palette
        if band.ndim == 3:
            return band if wanted is None else _refuse_palette(place)
        target[:] = band
    return out


def _refuse_palette(place: str) -> np.ndarray:
    raise DataFormatError(f"{place}: a band with a palette has colours of its own; leave out --bands")


def _valid(source: DatasetReader, numbers: tuple[int, ...], place: str) -> np.ndarray | None:
    """Return the (height, width) bool of pixels with data; None if all have."""
    from rasterio.enums import MaskFlags

    flags = {flag for number in numbers for flag in source.mask_flag_enums[number - 1]}
    if flags == {MaskFlags.all_valid}:
        return None
    alphas = {number for number, meaning in enumerate(source.colorinterp, start=1) if meaning.name == "alpha"}
    if alphas & set(numbers):  # shown as a colour, so it is no transparency
        return None
    valid: np.ndarray = source.dataset_mask() > 0
    if not valid.any() and MaskFlags.nodata not in flags:
        raise DataFormatError(
            f"{place}: its mask or transparency leaves out every pixel; remove it (gdal_translate -mask none)"
        )
    return None if valid.all() else valid


def _band(source: DatasetReader, number: int, valid: np.ndarray | None) -> np.ndarray:
    band = source.read(number)
    structure = source.tags(number, ns="IMAGE_STRUCTURE")
    palette = source.colorinterp[number - 1].name == "palette"
    if palette:
        shown = _coloured(band, source.colormap(number))
    elif band.dtype == np.uint8:
        bits = int(structure.get("NBITS", 8))
        shown = band if bits >= 8 else (band * (_WHITE / (2**bits - 1))).round().astype(np.uint8)
    else:
        shown = stretch(_scaled(source, number, band)[np.newaxis], valid)[0]
    if not palette and "YES" in (structure.get("MINISWHITE"), source.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE")):
        shown = _WHITE - shown
    return shown if valid is None else np.where(valid, shown, np.uint8(0))


def _scaled(source: DatasetReader, number: int, band: np.ndarray) -> np.ndarray:
    """Return the values that the file states; a negative scale turns dark into bright."""
    return -band.astype(np.float64) if source.scales[number - 1] < 0 else band


def _coloured(indices: np.ndarray, palette: dict[int, tuple[int, int, int, int]]) -> np.ndarray:
    """Return (3, height, width) uint8; indices that the palette lacks are black."""
    table = np.zeros((max(int(indices.max()), *palette) + 1, 3), np.uint8)
    for index, colour in palette.items():
        table[index] = colour[:3]
    return np.ascontiguousarray(table[indices].transpose(2, 0, 1))  # (3, height, width)
