"""Choose the bands of a raster that people see, and how their numbers become 8 bits."""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.plurals import count_of

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

PERCENTILES = (2.0, 98.0)
WHITE = 255
_OTHER_COLOURS = ("cyan", "magenta", "yellow", "black", "hue", "saturation", "lightness", "Y", "Cb", "Cr")
"""Meanings of bands that are colours, but not red, green and blue; GDAL converts most such files itself."""
_log = logging.getLogger("earthreason.geo")


@dataclass(frozen=True)
class Stretch:
    """How numbers become 8 bits.

    Attributes:
        kind: `percentiles` of each band or fixed `values` that become 0 and 255; `none` keeps the stored values and
            cuts off what is not from 0 to 255.
        low: percentile or value that becomes 0. Values are those after the scale and offset that the file states.
        high: percentile or value that becomes 255.
    """

    kind: Literal["percentiles", "values", "none"]
    low: float = 0.0
    high: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Stretch:
        """Read `LOW%,HIGH%`, `LOW,HIGH` or `none`.

        Raises:
            EarthReasonError: it is none of these, or the first number is not below the second.
        """
        if text.strip().casefold() == "none":
            return cls("none")
        form = re.fullmatch(r"\s*([^,%\s]+)\s*(%?)\s*,\s*([^,%\s]+)\s*(%?)\s*", text)
        try:
            low, high = (float(form[1]), float(form[3])) if form else (math.nan, math.nan)
        except ValueError:
            low = high = math.nan
        if form is None or not (math.isfinite(low) and math.isfinite(high)):
            raise EarthReasonError(
                f"--stretch {text}: must be two percentiles, such as 2%,98%, two values, such as 0,3000, or none"
            )
        if form[2] and not form[4]:
            raise EarthReasonError(f"--stretch {text}: one is a percentile and one a value; write % after both")
        if not low < high:
            raise EarthReasonError(f"--stretch {text}: the first number must be below the second")
        if form[4] and not (low >= 0 and high <= 100):
            raise EarthReasonError(f"--stretch {text}: percentiles are from 0 to 100")
        return cls("percentiles" if form[4] else "values", low, high)

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        unit = "%" if self.kind == "percentiles" else ""
        return "none" if self.kind == "none" else f"{self.low:g}{unit},{self.high:g}{unit}"


def parse_bands(text: str) -> tuple[int, ...]:
    """Read the numbers of bands, from 1: three for red, green and blue, or one for grey.

    Raises:
        EarthReasonError: these are not one or three whole numbers from 1.
    """
    numbers = [part.strip() for part in text.split(",")]
    if len(numbers) not in (1, 3) or not all(re.fullmatch("[1-9][0-9]{0,5}", number) for number in numbers):
        raise EarthReasonError(f"--bands {text}: must be three band numbers, such as 4,3,2, or one for grey")
    return tuple(map(int, numbers))


def stretch(bands: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Stretch each band linearly so that its percentiles become 0 and 255; return (n, height, width) uint8.

    Args:
        bands: (n, height, width) of any real number type.
        valid: (height, width) bool, True where pixels have data; others become 0. None if all have.
    """
    return np.stack([linear(band, *percentile_limits(band, valid), valid) for band in bands])


def percentile_limits(
    values: np.ndarray, valid: np.ndarray | None = None, percentiles: tuple[float, float] = PERCENTILES
) -> tuple[float, float]:
    """Return the percentiles of the finite values of pixels with data.

    If both are the same value, because few pixels have another, the least and largest value are returned instead.

    Args:
        values: numbers of any real type and shape.
        valid: bool of the same shape, True where pixels have data; None if all have.
        percentiles: the two percentiles, from 0 to 100.

    Returns:
        Two numbers; both NaN without a pixel with data.
    """
    good = np.isfinite(values) if valid is None else np.isfinite(values) & valid
    if not good.any():
        return math.nan, math.nan
    numbers = values[good].astype(np.float64)
    low, high = np.percentile(numbers, percentiles)
    return (float(low), float(high)) if low != high else (float(numbers.min()), float(numbers.max()))


def linear(values: np.ndarray, low: float, high: float, valid: np.ndarray | None = None) -> np.ndarray:
    """Map `low` to 0 and `high` to 255; return uint8.

    Args:
        values: (height, width) of any real number type.
        low: what becomes 0; above `high` to turn dark into bright.
        high: what becomes 255. If it is `low`, or NaN, all become 0.
        valid: (height, width) bool; pixels without data become 0, as those that are not finite do. None if all have.
    """
    if values.dtype.kind in "iu" and values.itemsize <= 2 and values.size > 1 << 8 * values.itemsize:
        least = np.iinfo(values.dtype).min
        table = linear(np.arange(1 << 8 * values.itemsize) + least, low, high)  # several times as fast
        shown = table[values.astype(np.int32) - least]
        return shown if valid is None else np.where(valid, shown, np.uint8(0))
    out = np.zeros(values.shape, np.uint8)
    good = np.isfinite(values) if valid is None else np.isfinite(values) & valid
    if low != high and math.isfinite(low) and math.isfinite(high):
        numbers = values[good].astype(np.float64)
        out[good] = np.clip(np.round((numbers - low) * (WHITE / (high - low))), 0, WHITE)
    return out


def chosen_bands(source: DatasetReader, wanted: tuple[int, ...] | None, place: str) -> tuple[int, ...]:
    """Return the numbers of the bands to show, from 1: three for red, green and blue, or one that is grey or a palette.

    Without a wish, what the file states of its bands decides: red, green and blue by their colour interpretation or
    their names; then a single band beside transparency; then, as in GIS programs, the first three, with a warning in
    the log if there are more.

    Args:
        source: opened raster.
        wanted: one band, or bands for red, green and blue; None to go by the file.
        place: file, for messages.

    Raises:
        DataFormatError: a wanted band is missing, or the file does not say how two bands are to be shown.
    """
    if wanted is not None:
        if len(wanted) not in (1, 3) or max(wanted) > source.count or min(wanted) < 1:
            listed = ",".join(map(str, wanted))
            raise DataFormatError(f"{place}: --bands {listed} cannot be read from {count_of(source.count, 'band')}")
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
    if len(shown) > 3:
        _log.warning(
            "%s: does not say which of its %d bands are red, green and blue; the first three are used, "
            "choose others with --bands",
            place,
            len(shown),
        )
    return tuple(shown[:3])
