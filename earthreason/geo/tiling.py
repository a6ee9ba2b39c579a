"""Choose the grid on which a scene is answered, and the tiles that cover it."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass

from earthreason.errors import EarthReasonError
from earthreason.geo.grid import GeoGrid, Window

logger = logging.getLogger("earthreason.geo")
MOST_ENLARGED = 8.0
"""Times that a scene is enlarged at most: interpolation shows a model nothing that the scene lacks."""
SAME_SCALE = 0.01
"""Difference from scale 1 that is ignored: half a metre of a projection is not exactly half a metre on the ground."""
WHOLE_PIXELS = 64_000_000
"""Pixels of the working grid at most where the model sees the whole scene at once."""
ONE_TILE = 2048
"""Side, in pixels, up to which a picture without georeference is one tile whatever the model's tile."""
SMALLEST = 16
"""Side of the smallest tile, in pixels."""
_SPLIT = 0.6282
"""Added before rounding down, so that common fractions of a pixel, with their rounding errors, are not at the edge."""


@dataclass(frozen=True)
class Tiling:
    """Tiles of equal size that cover a part of a grid, row by row.

    Attributes:
        grid: grid of the whole scene.
        area: part of it that is answered.
        height: rows of a tile.
        width: columns of a tile.
        tops: first rows of the tiles, ascending.
        lefts: first columns of the tiles, ascending.
    """

    grid: GeoGrid
    area: Window
    height: int
    width: int
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    def row(self, number: int) -> Iterator[Window]:
        """Yield the tiles of a row from left to right."""
        return (Window(left, self.tops[number], self.width, self.height) for left in self.lefts)


def lay_tiles(grid: GeoGrid, side: int, overlap: float = 0.25, area: Window | None = None) -> Tiling:
    """Cover a grid with tiles that lie at multiples of the step from the origin of the world's coordinates.

    A mosaic and any part cut from it therefore share their tiles, except those at the border: the first and last tile
    of a row or column are flush with it. Without georeference, the origin is the first pixel.

    Args:
        grid: grid of the whole scene.
        side: side of a tile in pixels; 0 makes one tile of `area`.
        overlap: share of the side by which neighbours overlap, from 0 to 0.9.
        area: part to answer; tiles that miss it are left out. None means the whole grid.

    Raises:
        EarthReasonError: the side or the overlap is out of range.
    """
    area = area or grid.whole
    if side == 0:
        return Tiling(grid, area, area.height, area.width, (area.top,), (area.left,))
    if side < SMALLEST:
        raise EarthReasonError(f"tiles of {side} pixels are too small; give {SMALLEST} or more, or 0 for no tiles")
    if not 0 <= overlap <= 0.9:
        raise EarthReasonError(f"an overlap of {overlap:g} is out of range; give a share of the tile from 0 to 0.9")
    step = max(1, round(side * (1 - overlap)))
    column, row = world_origin(grid)
    height, width = min(side, grid.height), min(side, grid.width)
    tops = [top for top in tile_starts(grid.height, side, step, row) if area.top - height < top < area.bottom]
    lefts = [left for left in tile_starts(grid.width, side, step, column) if area.left - width < left < area.right]
    return Tiling(grid, area, height, width, tuple(tops), tuple(lefts))


def tile_starts(length: int, side: int, step: int, origin: int = 0) -> list[int]:
    """Return the first pixels of tiles along an axis: both ends, and what lies a multiple of `step` from `origin`."""
    last = length - side
    if last <= 0:
        return [0]
    return sorted({0, *range(origin % step, last, step), last})


def world_origin(grid: GeoGrid) -> tuple[int, int]:
    """Return the column and row of the pixel at x = 0, y = 0; it mostly lies far outside the grid.

    Without georeference, or with a transform that has no inverse, it is the first pixel. A grid cut from another has
    the same pixel: its fraction is rounded where rounding errors of the transform do not matter.
    """
    if grid.transform is None:
        return 0, 0
    a, b, c, d, e, f = grid.transform
    area = a * e - b * d
    if area == 0 or not all(map(math.isfinite, grid.transform)):
        return 0, 0
    return math.floor((b * f - e * c) / area + _SPLIT), math.floor((d * c - a * f) / area + _SPLIT)


def working_grid(
    grid: GeoGrid,
    ground_resolution: float | None,
    seen: tuple[float, float] | None,
    gsd: float | None = None,
    name: str = "the scene",
) -> GeoGrid:
    """Return the grid on which a scene is answered: its place, at a ground resolution that the model knows.

    The scale is 1 if the resolution of the scene or of the model is unknown, or if they agree. A grid that is scaled
    begins at the scene's corner, so a scene and a part cut from it share tiles only at scale 1.

    Args:
        grid: grid of the scene.
        ground_resolution: GSD of the scene, metres per pixel; None if unknown.
        seen: finest and coarsest GSD that the model knows; None if unknown.
        gsd: GSD to work at instead.
        name: name of the scene, for messages.

    Raises:
        EarthReasonError: `gsd` is not usable with this scene.
    """
    if gsd is not None:
        if not (math.isfinite(gsd) and gsd > 0):
            raise EarthReasonError(f"--gsd {gsd:g}: must be above 0, in metres per pixel")
        if ground_resolution is None:
            raise EarthReasonError(f"--gsd {gsd:g}: the ground resolution of {name} is unknown; leave --gsd out")
        finest, coarsest = ground_resolution / MOST_ENLARGED, ground_resolution * min(grid.height, grid.width)
        if not finest <= gsd <= coarsest:
            raise EarthReasonError(
                f"--gsd {gsd:g}: {name} has pixels of {ground_resolution:g} m; give {finest:g} to {coarsest:g}"
            )
        scale = ground_resolution / gsd
        return grid if abs(scale - 1) < SAME_SCALE else scaled(grid, scale)
    if ground_resolution is None or seen is None or seen[0] <= ground_resolution <= seen[1]:
        return grid
    scale = ground_resolution / (seen[0] if ground_resolution < seen[0] else seen[1])
    if scale > MOST_ENLARGED:
        logger.warning(
            "%s has pixels of %.3g m; the model knows %.3g to %.3g m, so its answers are doubtful",
            *(name, ground_resolution, *seen),
        )
    return scaled(grid, min(scale, MOST_ENLARGED))


def scaled(grid: GeoGrid, scale: float) -> GeoGrid:
    """Return a grid with `scale` times as many pixels along each side, at least 1."""
    return grid.resized(max(1, round(grid.height * scale)), max(1, round(grid.width * scale)))


def limited(grid: GeoGrid, pixels: int) -> GeoGrid:
    """Return a grid of the same place with at most about `pixels` pixels."""
    return scaled(grid, min(1.0, math.sqrt(pixels / (grid.height * grid.width))))


def map_window(window: Window, source: GeoGrid, target: GeoGrid) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a window of `source` in pixels of `target`, a grid of the same place."""
    across, down = target.width / source.width, target.height / source.height
    return window.left * across, window.top * down, window.right * across, window.bottom * down


def whole_pixels(box: tuple[float, float, float, float], grid: GeoGrid) -> Window:
    """Return the smallest window of a grid with all pixels that a box touches."""
    # A millionth of a pixel is a rounding error, not a touched pixel.
    left, top = max(0, math.floor(box[0] + 1e-6)), max(0, math.floor(box[1] + 1e-6))
    right, bottom = min(grid.width, math.ceil(box[2] - 1e-6)), min(grid.height, math.ceil(box[3] - 1e-6))
    left, top = min(left, grid.width - 1), min(top, grid.height - 1)
    return Window(left, top, max(1, right - left), max(1, bottom - top))


def choose_side(grid: GeoGrid, model_side: int) -> int:
    """Return the side of the tiles of a grid: the model's, or that of the whole grid if it is hardly larger.

    That is up to twice the model's tile, or `ONE_TILE` for pictures without georeference.
    """
    longest = max(grid.height, grid.width)
    most = 2 * model_side if grid.transform is not None else max(2 * model_side, ONE_TILE)
    return max(SMALLEST, longest) if longest <= most else model_side
