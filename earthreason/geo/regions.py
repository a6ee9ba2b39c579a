"""Find the connected regions of an answer: outline, pixels and mean probability of each, at a bounded memory."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from earthreason.errors import EarthReasonError
from earthreason.geo.answers import AnswerRaster
from earthreason.geo.grid import Window

if TYPE_CHECKING:
    from shapely.geometry import MultiPolygon, Polygon

MOST_REGIONS = 1_000_000
"""Regions of one answer that are written; more are noise and would not fit in memory."""
_STRIP_PIXELS = 1 << 22


@dataclass(frozen=True)
class Region:
    """One connected region of an answer.

    Attributes:
        question: the question.
        answer: "target", and the model's words if it wrote any.
        score: mean probability of the pixels, from 0 to 1.
        area_m2: area of the pixels on the ellipsoid, in square metres; None without a CRS on the Earth.
        pixels: number of pixels.
        geometry: outline with holes, in the CRS of the layer; of several parts only after a cut at the antimeridian.
    """

    question: str
    answer: str
    score: float
    area_m2: float | None
    pixels: int
    geometry: Polygon | MultiPolygon


@dataclass(frozen=True)
class QuestionSummary:
    """What a layer says of one question, also when nothing was found.

    Attributes:
        question: the question.
        answer: "target" or "no target", and the model's words if it wrote any.
        has_target: False for "no target".
        no_target_score: from 0 to 1.
        regions: number of regions in the layer.
        area_m2: sum of their areas; None without a CRS on the Earth.
    """

    question: str
    answer: str
    has_target: bool
    no_target_score: float
    regions: int
    area_m2: float | None


@dataclass(frozen=True)
class Outlines:
    """The n regions of one answer, in the order of their first pixels.

    Attributes:
        polygons: (n,) shapely polygons along pixel edges; coordinates are columns and rows.
        pixels: (n,) int64, number of pixels.
        scores: (n,) float64, mean probability of the pixels.
    """

    polygons: np.ndarray
    pixels: np.ndarray
    scores: np.ndarray


def find_regions(raster: AnswerRaster) -> Outlines:
    """Return the 4-connected regions of an answer. The raster is read in strips; outlines are held in memory.

    Raises:
        EarthReasonError: there are more than `MOST_REGIONS`, or the temporary folder is full.
    """
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with (
            tempfile.TemporaryDirectory(prefix="earthreason-") as folder,
            rasterio.Env(GDAL_CACHEMAX=128),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            path = Path(folder) / "mask.tif"
            components = _write_mask(path, raster)
            polygons = _trace(path)
    except EarthReasonError:  # some are OSErrors too
        raise
    except (RasterioError, OSError) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise EarthReasonError(
            f"cannot write a temporary mask ({reason}); free space in {tempfile.gettempdir()} or set TMPDIR"
        ) from error
    places = np.searchsorted(components.first, _first_pixels(polygons, raster.grid.width))
    order = np.argsort(places)
    polygons, places = polygons[order], places[order]
    return Outlines(polygons, components.pixels[places], components.sums[places] / components.pixels[places])


@dataclass
class _Components:
    """Connected components by their first pixel in reading order (row * width + column)."""

    first: np.ndarray  # (n,) int64, ascending
    pixels: np.ndarray  # (n,) int64
    sums: np.ndarray  # (n,) float64, of the probabilities


def _write_mask(path: Path, raster: AnswerRaster) -> _Components:
    """Write a mask as bits, and measure its components on the way: labels of strips, joined where strips meet."""
    import rasterio
    from scipy.ndimage import label
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    grid = raster.grid
    first, pixels, sums = [], [], []  # one array per strip
    pairs: list[np.ndarray] = []  # (2, m): labels above and below a seam
    above = np.zeros(grid.width, np.int64)
    seen = 0
    rows = _strip_rows(grid.width)
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "nbits": 1, "compress": "deflate", "blockysize": rows}
    with rasterio.open(path, "w", height=grid.height, width=grid.width, bigtiff="if_safer", **profile) as target:
        for strip in _strips(grid.whole, rows):
            mask = np.ascontiguousarray(raster.mask(strip), dtype=bool)
            target.write(mask.view(np.uint8), 1, window=((strip.top, strip.bottom), (0, grid.width)))
            if not mask.any():
                above = np.zeros(grid.width, np.int64)
                continue
            labels, count = label(mask)
            marked = np.flatnonzero(mask)
            owners = labels.ravel()[marked].astype(np.int64) - 1
            where = np.empty(count, np.int64)
            where[owners[::-1]] = marked[::-1]  # the last to be assigned is the first in reading order
            first.append(where + strip.top * grid.width)
            pixels.append(np.bincount(owners, minlength=count))
            sums.append(np.bincount(owners, raster.probability(strip).ravel()[marked], count))
            top = np.where(labels[0] > 0, labels[0] + np.int64(seen), 0)
            met = (above > 0) & (top > 0)
            pairs.append(np.unique(np.stack([above[met], top[met]]) - 1, axis=1))
            above = np.where(labels[-1] > 0, labels[-1] + np.int64(seen), 0)
            seen += count
            if seen > 4 * MOST_REGIONS:  # parts of regions; checked early, because noise would fill the memory
                break
    if not seen:
        return _Components(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    joined = np.concatenate(pairs, axis=1)
    links = coo_array((np.ones(joined.shape[1], bool), (joined[0], joined[1])), shape=(seen, seen))
    found, owner = connected_components(links, directed=False)
    if found > MOST_REGIONS or seen > 4 * MOST_REGIONS:
        raise EarthReasonError(
            f"the answer falls into more than {MOST_REGIONS:,} regions, which is noise; "
            "raise the threshold, or write the answer as a GeoTIFF"
        )
    beginnings = np.full(found, np.iinfo(np.int64).max)
    np.minimum.at(beginnings, owner, np.concatenate(first))
    order = np.argsort(beginnings)
    counts = np.zeros(found, np.int64)
    np.add.at(counts, owner, np.concatenate(pixels))
    return _Components(
        beginnings[order], counts[order], np.bincount(owner, np.concatenate(sums), minlength=found)[order]
    )


def _strip_rows(width: int) -> int:
    return max(1, min(1024, _STRIP_PIXELS // width))


def _strips(whole: Window, rows: int) -> Iterator[Window]:
    for top in range(0, whole.height, rows):
        yield Window(0, top, whole.width, min(rows, whole.height - top))


def _trace(path: Path) -> np.ndarray:
    """Return the (n,) valid polygons of a mask file, in pixel coordinates."""
    import rasterio
    import shapely
    from rasterio.features import shapes

    points: list[np.ndarray] = []  # one array per ring
    rings_before, polygons_before = [0], [0]
    with rasterio.open(path) as source:
        band = rasterio.band(source, 1)
        for shape, _ in shapes(band, mask=band, connectivity=4):
            for ring in shape["coordinates"]:
                points.append(np.array(ring, np.float64))
                rings_before.append(rings_before[-1] + len(ring))
            polygons_before.append(len(points))
    if not points:
        return np.zeros(0, object)
    offsets = (np.array(rings_before), np.array(polygons_before))
    polygons = shapely.from_ragged_array(shapely.GeometryType.POLYGON, np.concatenate(points), offsets)
    for index in np.flatnonzero(~shapely.is_valid(polygons)):
        # A ring that touches itself at a pixel corner becomes an outline and holes, as the standard asks.
        polygons[index] = shapely.make_valid(polygons[index], method="structure", keep_collapsed=False)
    return polygons


def _first_pixels(polygons: np.ndarray, width: int) -> np.ndarray:
    """Return (n,) int64: the first pixel in reading order inside each polygon, as row * width + column."""
    import shapely

    points, owner = shapely.get_coordinates(shapely.get_exterior_ring(polygons), return_index=True)
    places = points[:, 1].astype(np.int64) * width + points[:, 0].astype(np.int64)
    first = np.full(len(polygons), np.iinfo(np.int64).max)
    np.minimum.at(first, owner, places)
    return first
