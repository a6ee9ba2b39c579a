"""Write masks and probabilities as Cloud-optimised GeoTIFF, and masks of pictures as PNG."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.files import atomic_path, refuse_folder
from earthreason.geo.answers import SceneAnswer, SceneAnswers
from earthreason.geo.grid import GeoGrid, Window
from earthreason.geo.replacing import remove_stale
from earthreason.geo.texts import printable

GEOTIFF_SUFFIXES = (".tif", ".tiff")
RASTER_SUFFIXES = (*GEOTIFF_SUFFIXES, ".png")
UNASKED = 255
"""Value of a mask in a GeoTIFF where nothing was asked, or where the scene has no data."""
LARGEST_PNG = 178_956_970
"""Pixels of the largest PNG that Pillow opens."""
_STALE = (".aux.xml", ".ovr", ".msk", "*.tfw", "*.tifw")
"""What GDAL and GIS programs keep beside a GeoTIFF: place, statistics, overviews, mask. They go before its content."""
_BLOCK = 512
_BLOCK_COLUMNS = 1 << 14


def write_mask(path: Path, answers: SceneAnswers) -> None:
    """Write the masks of all questions; an existing file is replaced only once the new one is complete.

    A GeoTIFF is cloud-optimised. It has one band a question, uint8: 1 on the target, 0 elsewhere, and 255 (nodata)
    where nothing was asked. Overviews take the most frequent value. A PNG is for one question about a picture: 255 on
    the target, 0 elsewhere; it has no georeference.

    Args:
        path: the suffix decides on the format, see `RASTER_SUFFIXES`.
        answers: answers about a scene.

    Raises:
        UnknownNameError: the suffix is unknown.
        EarthReasonError: a PNG cannot hold the answers, or the file cannot be written.
    """
    suffix = raster_suffix(path)
    if suffix == ".png":
        refuse_png(path, answers.grid, len(answers.answers))
        _write_png(path, answers.answers[0])
        return

    def read(answer: SceneAnswer, window: Window) -> np.ndarray:
        values = answer.raster.mask(window).astype(np.uint8) if answer.has_target else _zeros(window)
        values[np.isnan(answer.raster.probability(window))] = UNASKED
        return values

    _write_geotiff(path, answers, read, "mask", "uint8", UNASKED, {"overview_resampling": "mode", "predictor": "no"})


def write_probability(path: Path, answers: SceneAnswers) -> None:
    """Write the probabilities of all questions as a cloud-optimised GeoTIFF; see `write_mask`.

    Values are float32 from 0 to 1 as the model gave them, so that any threshold can be applied later; NaN is nodata.
    Overviews are averages.

    Raises:
        UnknownNameError: the suffix is not .tif.
        EarthReasonError: the file cannot be written.
    """
    if raster_suffix(path) == ".png":
        raise UnknownNameError("suffix of a probability raster", path.suffix, GEOTIFF_SUFFIXES)

    def read(answer: SceneAnswer, window: Window) -> np.ndarray:
        return np.asarray(answer.raster.probability(window), np.float32)

    options = {"overview_resampling": "average", "predictor": "yes"}
    _write_geotiff(path, answers, read, "probability", "float32", float("nan"), options)


def raster_suffix(path: Path) -> str:
    """Return which of `RASTER_SUFFIXES` a path has.

    Raises:
        UnknownNameError: it has none of them.
    """
    if path.suffix.lower() not in RASTER_SUFFIXES:
        raise UnknownNameError("suffix of a raster", path.suffix, RASTER_SUFFIXES)
    return path.suffix.lower()


def refuse_png(path: Path, grid: GeoGrid, questions: int) -> None:
    """Check that a PNG can hold the answers.

    Raises:
        EarthReasonError: there are several questions, or too many pixels.
    """
    if questions != 1:
        raise EarthReasonError(f"{path}: a PNG holds the mask of one question, not of {questions}; write a .tif")
    if grid.height * grid.width > LARGEST_PNG:
        megapixels = grid.height * grid.width / 1e6
        raise EarthReasonError(f"{path}: {megapixels:,.0f} megapixels are too many for a PNG; write a .tif")


def _zeros(window: Window) -> np.ndarray:
    return np.zeros((window.height, window.width), np.uint8)


def _write_png(path: Path, answer: SceneAnswer) -> None:
    from PIL import Image

    whole = answer.raster.grid.whole
    values = answer.raster.mask(whole).astype(np.uint8) * 255 if answer.has_target else _zeros(whole)
    refuse_folder(path)
    try:
        with atomic_path(path) as temporary:
            Image.fromarray(values).save(temporary, "PNG")
    except OSError as error:
        raise EarthReasonError(f"{path}: cannot write the mask: {error.strerror or error}") from error


def _write_geotiff(
    path: Path,
    answers: SceneAnswers,
    read: Callable[[SceneAnswer, Window], np.ndarray],
    kind: str,
    dtype: str,
    nodata: float,
    options: dict[str, str],
) -> None:
    """Write blocks to a temporary GeoTIFF, and copy it in the order of a cloud-optimised one."""
    import rasterio
    import rasterio.shutil
    from rasterio.errors import RasterioError

    refuse_folder(path)
    try:
        # The environment brings what GDAL prints to the logging of Python, and bounds its cache in MB.
        with (
            atomic_path(path) as temporary,
            rasterio.Env(GDAL_CACHEMAX=128),
            warnings.catch_warnings(),
            _scratch(temporary) as blocks,
        ):
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            _write_blocks(blocks, answers, read, kind, dtype, nodata)
            rasterio.shutil.copy(
                blocks,
                temporary,
                driver="COG",
                compress="deflate",
                blocksize=_BLOCK,
                bigtiff="if_safer",
                overviews="auto",
                **options,
            )
            _check_complete(temporary)
        remove_stale(path, _STALE)
    except EarthReasonError:  # some are OSErrors too
        raise
    except (RasterioError, OSError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error.__cause__ or error).split())[:300]
        raise EarthReasonError(f"{path}: cannot write the {kind}: {reason}; is the disk full?") from error


class _scratch(tempfile.TemporaryDirectory[str]):  # noqa: N801 - used as a function
    """A path for blocks on the disk of the output."""

    def __init__(self, temporary: Path) -> None:
        super().__init__(prefix="blocks-", dir=temporary.parent)

    def __enter__(self) -> Path:  # type: ignore[override]
        return Path(super().__enter__()) / "blocks.tif"


def _write_blocks(
    path: Path,
    answers: SceneAnswers,
    read: Callable[[SceneAnswer, Window], np.ndarray],
    kind: str,
    dtype: str,
    nodata: float,
) -> None:
    import rasterio
    from rasterio.transform import Affine

    grid = answers.grid
    profile: dict[str, Any] = {"driver": "GTiff", "dtype": dtype, "nodata": nodata, "count": len(answers.answers)}
    if grid.transform is not None:
        profile |= {"transform": Affine(*grid.transform), "crs": grid.crs}
    tiles = {"tiled": True, "blockxsize": _BLOCK, "blockysize": _BLOCK, "compress": "deflate", "zlevel": 1}
    # GDAL takes three or four bands of 8 bits for colours, unless told that black is the least value.
    layout = {"interleave": "band", "bigtiff": "if_safer", "photometric": "minisblack", **tiles}
    with rasterio.open(path, "w", height=grid.height, width=grid.width, **profile, **layout) as target:
        facts = {printable(name): printable(value) for name, value in answers.facts.items()}
        target.update_tags(**facts | {"CONTENT": kind, "AREA_OR_POINT": "Area"})
        for band, answer in enumerate(answers.answers, 1):
            target.set_band_description(band, printable(answer.question))
            target.update_tags(
                band,
                question=printable(answer.question),
                has_target="yes" if answer.has_target else "no",
                no_target_score=f"{answer.no_target_score:.6f}",
                **({"text": printable(answer.text)} if answer.text else {}),
            )
            for window in _windows(grid.whole):
                rows, columns = (window.top, window.bottom), (window.left, window.right)
                target.write(read(answer, window), band, window=(rows, columns))


def _windows(whole: Window) -> Iterator[Window]:
    for top in range(0, whole.height, _BLOCK):
        for left in range(0, whole.width, _BLOCK_COLUMNS):
            yield Window(left, top, min(_BLOCK_COLUMNS, whole.width - left), min(_BLOCK, whole.height - top))


def _check_complete(path: Path) -> None:
    """Check that all blocks lie inside a written file, because GDAL does not report every full disk."""
    import rasterio

    size = path.stat().st_size
    with rasterio.open(path) as source:
        bands = source.count
        levels = [None, *range(len(source.overviews(1)))]
    for level in levels:
        with rasterio.open(path, **({} if level is None else {"overview_level": level})) as source:
            columns, rows = -(-source.width // _BLOCK), -(-source.height // _BLOCK)
            for band in range(1, bands + 1):
                _check_last_block(source, band, columns - 1, rows - 1, size)


def _check_last_block(source: Any, band: int, column: int, row: int, size: int) -> None:
    offset = source.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=band)
    length = source.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", bidx=band)
    if offset is not None and int(offset) + int(length) > size:
        raise OSError("the end of the file is missing")
