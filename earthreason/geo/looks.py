"""How a raster is shown: the bands and the limits of the stretch, found once, by which every window is rendered."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from earthreason.errors import DataFormatError
from earthreason.geo.bands import PERCENTILES, WHITE, Stretch, chosen_bands, linear, percentile_limits
from earthreason.geo.grid import Window
from earthreason.geo.scene import Block

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

Limits = tuple[float, float]
"""Stored values that become 0 and 255."""
MOST_SAMPLED = 4 << 20
"""Most pixels of a band that are looked at for its percentiles."""
_SAMPLES_A_SIDE, _SAMPLE_SIDE = 16, 128  # 4 MP in windows, for files without overviews
_LEAST_WITH_DATA = 0.01  # share of the pixels in windows
_COARSEST = 4  # times MOST_SAMPLED that may be read from the smallest overview
_DEFAULT = Stretch("percentiles", *PERCENTILES)
_log = logging.getLogger("earthreason.geo")


@dataclass(frozen=True)
class BandForm:
    """What a file states about a band.

    Attributes:
        number: number of the band, from 1.
        dtype: dtype of the stored values.
        bits: bits of a value that are used.
        scale: what stored values are multiplied by.
        offset: what is added to them then.
        white_is_zero: whether small values are bright (MINISWHITE).
        palette: red, green, blue and alpha of each index; None if the band has no palette.
        masked: whether there may be pixels without data: by a nodata value, a mask or transparency.
    """

    number: int
    dtype: str
    bits: int
    scale: float
    offset: float
    white_is_zero: bool
    palette: dict[int, tuple[int, int, int, int]] | None
    masked: bool

    def limits(self, values: np.ndarray, valid: np.ndarray | None, stretch: Stretch | None) -> Limits | None:
        """Return the stored values that become 0 and 255, or None if the values are shown as they are.

        Args:
            values: stored values of the band, of any shape.
            valid: bool of the same shape, True where pixels have data; None if all have.
            stretch: wish; None for that of the type: 8 bits stay, others are stretched between the percentiles.
        """
        wish = self.wish(stretch)
        if wish is None or wish.kind == "none":
            return None
        if wish.kind == "values":
            return (wish.low - self.offset) / self.scale, (wish.high - self.offset) / self.scale
        ends = (wish.low, wish.high) if self.scale > 0 else (100 - wish.high, 100 - wish.low)
        low, high = percentile_limits(values, valid, ends)
        return (low, high) if self.scale > 0 else (high, low)  # a negative scale turns dark into bright

    def wish(self, stretch: Stretch | None) -> Stretch | None:
        """Return the stretch that applies to this band; None if its values are shown as they are."""
        if self.palette is not None:
            return None
        return stretch or (None if self.dtype == "uint8" else _DEFAULT)

    def shown(self, values: np.ndarray, limits: Limits | None, valid: np.ndarray | None) -> np.ndarray:
        """Render stored values; return (height, width) uint8, or (3, height, width) of a palette.

        Args:
            values: (height, width) stored values.
            limits: what `limits` returned.
            valid: (height, width) bool; pixels without data are black. None if all have.
        """
        if self.palette is not None:
            shown = _coloured(values, self.palette)
        elif limits is not None:
            shown = linear(values, *limits, valid)
        elif self.dtype == "uint8":
            shown = values if self.bits >= 8 else (values * (WHITE / (2**self.bits - 1))).round().astype(np.uint8)
        else:
            shown = linear(values, 0.0, WHITE, valid)
        if self.white_is_zero:
            shown = WHITE - shown
        return shown if valid is None else np.where(valid, shown, np.uint8(0))


@dataclass(frozen=True)
class Look:
    """How all windows of a raster are shown.

    Attributes:
        forms: bands for red, green and blue, or one.
        limits: stored values of each that become 0 and 255; None where values are shown as they are.
        facts: bands and limits in words.
    """

    forms: tuple[BandForm, ...]
    limits: tuple[Limits | None, ...]
    facts: dict[str, str] = field(default_factory=dict)

    def read(self, source: DatasetReader, window: Window, height: int, width: int) -> Block:
        """Read a window, scaled to (height, width): averages or, where it is enlarged, bilinear; palettes by nearest.

        Raises:
            rasterio.errors.RasterioError: the file is damaged.
        """
        pixels = np.empty((height, width, 3), np.uint8)
        anywhere: np.ndarray | None = np.zeros((height, width), bool)
        read: dict[int, tuple[np.ndarray, np.ndarray | None]] = {}
        stored = _stored_together(source, self.forms, window, (height, width))
        pairs = list(zip(self.forms, self.limits, strict=True))
        for channel, (form, limits) in enumerate(pairs if len(pairs) == 3 else pairs * 3):
            if form.number not in read:
                values = stored.get(form.number)
                if values is None:
                    values = _stored(source, form, window, (height, width))
                valid = _with_data(form, values, _mask(source, form, window, (height, width)))
                read[form.number] = form.shown(values, limits, valid), valid
            shown, valid = read[form.number]
            anywhere = None if valid is None or anywhere is None else anywhere | valid
            if shown.ndim == 3:
                pixels[:] = shown.transpose(1, 2, 0)  # (height, width, 3)
                break
            pixels[..., channel] = shown
        return Block(pixels, None if anywhere is None or anywhere.all() else anywhere)


def look_of(
    source: DatasetReader, place: str, wanted: tuple[int, ...] | None = None, stretch: Stretch | None = None
) -> Look:
    """Choose bands and find the limits of the stretch, from at most 4 million pixels of a band.

    These pixels are those of an overview or, in a file without overviews, of windows all over it.

    Args:
        source: opened raster.
        place: file, for messages.
        wanted: one band, or bands for red, green and blue; None to go by the file.
        stretch: wish; None leaves 8 bits as they are and stretches others between percentiles 2 and 98.

    Raises:
        DataFormatError: a band is missing, has complex numbers, or a palette that cannot be shown as wished.
    """
    forms = _forms(source, chosen_bands(source, wanted, place), wanted, place)
    if stretch is not None and any(form.palette is not None for form in forms):
        raise DataFormatError(f"{place}: a band with a palette has colours of its own; leave out --stretch")
    found: dict[int, Limits | None] = {}
    for form in forms:
        if form.number not in found:
            found[form.number] = _sampled_limits(source, form, stretch)
            if found[form.number] is not None and not math.isfinite(sum(found[form.number] or ())):
                _log.warning("%s: no pixel of band %d has data", place, form.number)
    limits = tuple(found[form.number] for form in forms)
    facts = {
        "bands": ",".join(str(form.number) for form in forms),
        "stretch": "; ".join(dict.fromkeys(map(_words, forms, limits, [stretch] * len(forms)))),
    }
    _log.info("%s: bands %s; stretch %s", place, facts["bands"], facts["stretch"])
    return Look(forms, limits, facts)


def shown_bands(source: DatasetReader, wanted: tuple[int, ...] | None, place: str) -> np.ndarray:
    """Read a whole raster as people see it; return (3, height, width) uint8.

    8 bits stay as they are, palettes become their colours, less than 8 bits become black to white, and other numbers
    are stretched between percentiles of all pixels. Pixels without data (nodata value, validity mask, full
    transparency, NaN) are black.

    Raises:
        DataFormatError: the pixels are complex numbers, or the file leaves out all of them.
    """
    from rasterio.enums import MaskFlags

    forms = _forms(source, chosen_bands(source, wanted, place), wanted, place)
    valid = source.dataset_mask() > 0 if any(form.masked for form in forms) else None
    if valid is not None and not valid.any():
        flags = {flag for form in forms for flag in source.mask_flag_enums[form.number - 1]}
        if MaskFlags.nodata not in flags:
            raise DataFormatError(
                f"{place}: its mask or transparency leaves out every pixel; remove it (gdal_translate -mask none)"
            )
    out = np.zeros((3, source.height, source.width), np.uint8)
    read: dict[int, np.ndarray] = {}
    for target, form in zip(out, forms if len(forms) == 3 else forms * 3, strict=True):
        if form.number not in read:
            values = source.read(form.number)
            read[form.number] = form.shown(values, form.limits(values, valid, None), valid)
        shown = read[form.number]
        if shown.ndim == 3:
            return shown
        target[:] = shown
    return out


def _forms(
    source: DatasetReader, numbers: tuple[int, ...], wanted: tuple[int, ...] | None, place: str
) -> tuple[BandForm, ...]:
    if any(source.dtypes[number - 1].startswith("complex") for number in numbers):
        raise DataFormatError(f"{place}: complex numbers have no colours; save the amplitude as a band of its own")
    forms = tuple(_form(source, number, numbers) for number in numbers)
    if wanted is not None and len(wanted) == 3 and any(form.palette is not None for form in forms):
        raise DataFormatError(f"{place}: a band with a palette has colours of its own; leave out --bands")
    return forms


def _form(source: DatasetReader, number: int, numbers: tuple[int, ...]) -> BandForm:
    from rasterio.enums import MaskFlags

    structure = source.tags(number, ns="IMAGE_STRUCTURE")
    palette = source.colorinterp[number - 1].name == "palette"
    white = "YES" in (structure.get("MINISWHITE"), source.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE"))
    alphas = {band for band, meaning in enumerate(source.colorinterp, start=1) if meaning.name == "alpha"}
    all_valid = MaskFlags.all_valid in source.mask_flag_enums[number - 1]
    scale, offset = source.scales[number - 1], source.offsets[number - 1]
    stated = math.isfinite(scale) and math.isfinite(offset) and scale != 0
    return BandForm(
        number=number,
        dtype=source.dtypes[number - 1],
        bits=int(structure.get("NBITS", 8)),
        scale=scale if stated else 1.0,
        offset=offset if stated else 0.0,
        white_is_zero=white and not palette,
        palette=source.colormap(number) if palette else None,
        masked=not all_valid and not alphas & set(numbers),  # transparency that is shown as a colour is none
    )


def _stored(source: DatasetReader, form: BandForm, window: Window, shape: tuple[int, int]) -> np.ndarray:
    return _read(source, form.number, form, window, shape)


def _read(
    source: DatasetReader, numbers: int | list[int], form: BandForm, window: Window, shape: tuple[int, int]
) -> np.ndarray:
    from rasterio.enums import Resampling

    resampling = Resampling.bilinear
    if form.palette is not None:
        resampling = Resampling.nearest
    elif shape[0] < window.height or shape[1] < window.width:
        resampling = Resampling.average
    size = shape if isinstance(numbers, int) else (len(numbers), *shape)
    values: np.ndarray = source.read(numbers, window=_rasterio(window), out_shape=size, resampling=resampling)
    return values


def _stored_together(
    source: DatasetReader, forms: tuple[BandForm, ...], window: Window, shape: tuple[int, int]
) -> dict[int, np.ndarray]:
    """Return the values of bands that can be read by one call, by their numbers.

    Bands that lie in the same blocks are read three times as fast so. Where values are averaged and some have no data,
    each band needs a call of its own, because GDAL would leave out a pixel of all bands.
    """
    numbers = sorted({form.number for form in forms})
    same = (window.height, window.width) == shape or not any(form.masked for form in forms)
    if len(numbers) < 2 or not same or len({form.dtype for form in forms}) > 1 or forms[0].palette is not None:
        return {}
    return dict(zip(numbers, _read(source, numbers, forms[0], window, shape), strict=True))


def _mask(source: DatasetReader, form: BandForm, window: Window, shape: tuple[int, int]) -> np.ndarray | None:
    if not form.masked:
        return None
    valid: np.ndarray = source.read_masks(form.number, window=_rasterio(window), out_shape=shape) > 0
    return valid


def _rasterio(window: Window) -> tuple[tuple[int, int], tuple[int, int]]:
    return (window.top, window.bottom), (window.left, window.right)


def _with_data(form: BandForm, values: np.ndarray, valid: np.ndarray | None) -> np.ndarray | None:
    """Leave out numbers that are not finite and clear colours of a palette; None if all pixels have data."""
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        valid = finite if valid is None else valid & finite
    elif form.palette is not None:
        clear = [index for index, colour in form.palette.items() if colour[3] == 0]
        if 0 < len(clear) < len(form.palette):
            opaque = ~np.isin(values, clear)
            valid = opaque if valid is None else valid & opaque
    return None if valid is None or valid.all() else valid


def _sampled_limits(source: DatasetReader, form: BandForm, stretch: Stretch | None) -> Limits | None:
    wish = form.wish(stretch)
    if wish is None or wish.kind != "percentiles":
        return form.limits(np.zeros(0), None, stretch)
    whole = Window(0, 0, source.width, source.height)
    shrunk = math.sqrt(MOST_SAMPLED / (source.width * source.height))
    shape = (max(1, int(source.height * shrunk)), max(1, int(source.width * shrunk)))
    if shrunk >= 1:
        return form.limits(_sampled(source, form, [(whole, (source.height, source.width))]), None, stretch)
    overviews = source.overviews(form.number)
    if not overviews or source.width * source.height / max(overviews) ** 2 > _COARSEST * MOST_SAMPLED:
        reads = list(_windows(source))
        values = _sampled(source, form, reads)
        if len(values) >= _LEAST_WITH_DATA * sum(window.width * window.height for window, _ in reads):
            return form.limits(values, None, stretch)
        # There is data in a few places only, so all must be looked for.
    return form.limits(_sampled(source, form, [(whole, shape)]), None, stretch)


def _windows(source: DatasetReader) -> Iterator[tuple[Window, tuple[int, int]]]:
    """Yield windows all over a raster; they begin where blocks do, so that few blocks are decoded."""
    block_height, block_width = source.block_shapes[0]
    for row in _starts(source.height, block_height):
        for column in _starts(source.width, block_width):
            height, width = min(_SAMPLE_SIDE, source.height - row), min(_SAMPLE_SIDE, source.width - column)
            yield Window(column, row, width, height), (height, width)


def _starts(length: int, block: int) -> list[int]:
    spread = np.linspace(0, max(0, length - _SAMPLE_SIDE), _SAMPLES_A_SIDE).astype(int)
    snapped = spread // block * block if block <= length // _SAMPLES_A_SIDE else spread
    return sorted({int(start) for start in snapped})


def _sampled(source: DatasetReader, form: BandForm, reads: list[tuple[Window, tuple[int, int]]]) -> np.ndarray:
    """Return the stored values with data of some reads, which are not averaged: means are not percentiles."""
    found = []
    for window, shape in reads:
        values = source.read(form.number, window=_rasterio(window), out_shape=shape)
        valid = _with_data(form, values, _mask(source, form, window, shape))
        found.append(values.ravel() if valid is None else values[valid])
    return np.concatenate(found)


def _words(form: BandForm, limits: Limits | None, stretch: Stretch | None) -> str:
    wish = form.wish(stretch)
    if wish is None:
        return "colours of the palette" if form.palette is not None else "8 bits as stored"
    if limits is None:
        return "none"
    low, high = (form.scale * limit + form.offset for limit in limits)
    return f"{wish} of band {form.number} = {low:.6g},{high:.6g}" if wish.kind == "percentiles" else f"{wish}"


def _coloured(indices: np.ndarray, palette: dict[int, tuple[int, int, int, int]]) -> np.ndarray:
    """Return (3, height, width) uint8; indices that the palette lacks are black."""
    table = np.zeros((max(int(indices.max()), *palette) + 1, 3), np.uint8)
    for index, colour in palette.items():
        table[index] = colour[:3]
    return np.ascontiguousarray(table[indices].transpose(2, 0, 1))  # (3, height, width)
