"""Find the connected regions of an answer: outline, pixels and mean probability of each, at a bounded memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from earthreason.errors import EarthReasonError
from earthreason.geo.answers import AnswerRaster
from earthreason.geo.grid import Window
from earthreason.geo.tracing import Corners

if TYPE_CHECKING:
    from shapely.geometry import MultiPolygon, Polygon

MOST_REGIONS = 1_000_000
"""Regions of one answer that are written; more are noise and would not fit in memory."""
MOST_CORNERS = 12_000_000
"""Corners of the outlines of one answer, for the same reason: each takes about 100 bytes on the way to a file."""
_STRIP_PIXELS = 1 << 22
_TOLD_CORNERS = 2_000_000
logger = logging.getLogger("earthreason.geo")


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
        EarthReasonError: there are more than `MOST_REGIONS` or `MOST_CORNERS`.
    """
    components, corners = _measure(raster)
    if corners.count > _TOLD_CORNERS:
        logger.info("outlining %s regions with %s corners", f"{len(components.pixels):,}", f"{corners.count:,}")
    polygons, found = corners.polygons(components.owners)
    return Outlines(polygons, components.pixels[found], components.sums[found] / components.pixels[found])


@dataclass
class _Components:
    """Connected components."""

    owners: np.ndarray  # (labels,) component of each label
    pixels: np.ndarray  # (n,) int64
    sums: np.ndarray  # (n,) float64, of the probabilities


def _measure(raster: AnswerRaster) -> tuple[_Components, Corners]:
    """Measure the components of a mask, and collect the corners: labels of strips, joined where strips meet."""
    from scipy.ndimage import label
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    grid = raster.grid
    pixels, sums = [], []  # one array per strip
    pairs: list[np.ndarray] = []  # (2, m): labels above and below a seam
    nothing = np.zeros(grid.width, np.int32)
    corners, above, seen = Corners(grid.width), nothing, 0
    for strip in _strips(grid.whole, _strip_rows(grid.width)):
        mask = np.asarray(raster.mask(strip), dtype=bool)
        if not mask.any():
            corners.add(strip.top, above, nothing[None])
            above = nothing
            continue
        labels, count = label(mask)
        marked = np.flatnonzero(labels)
        owners = labels.ravel()[marked]
        pixels.append(np.bincount(owners, minlength=count + 1)[1:])
        sums.append(np.bincount(owners, raster.probability(strip).ravel()[marked], count + 1)[1:])
        labels.ravel()[marked] += seen
        met = (above > 0) & (labels[0] > 0)
        pairs.append(np.unique(np.stack([above[met], labels[0][met]]) - 1, axis=1))
        corners.add(strip.top, above, labels)
        above = labels[-1].copy()
        seen += count
        if seen > 4 * MOST_REGIONS or corners.count > MOST_CORNERS:  # parts of regions; noise would fill the memory
            raise _noise()
    corners.add(grid.height, above, nothing[None])
    if not seen:
        return _Components(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)), corners
    joined = np.concatenate(pairs, axis=1)
    links = coo_array((np.ones(joined.shape[1], bool), (joined[0], joined[1])), shape=(seen, seen))
    found, owner = connected_components(links, directed=False)
    if found > MOST_REGIONS or corners.count > MOST_CORNERS:
        raise _noise()
    counts = np.zeros(found, np.int64)
    np.add.at(counts, owner, np.concatenate(pixels))
    return _Components(owner, counts, np.bincount(owner, np.concatenate(sums), minlength=found)), corners


def _noise() -> EarthReasonError:
    return EarthReasonError(
        f"the answer falls into more than {MOST_REGIONS:,} regions, or its outlines have more than {MOST_CORNERS:,} "
        "corners, which is noise; raise the threshold, or write the answer as a GeoTIFF"
    )


def _strip_rows(width: int) -> int:
    return max(1, min(1024, _STRIP_PIXELS // width))


def _strips(whole: Window, rows: int) -> Iterator[Window]:
    for top in range(0, whole.height, rows):
        yield Window(0, top, whole.width, min(rows, whole.height - top))
