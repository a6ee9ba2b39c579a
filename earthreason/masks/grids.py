"""Grids on which masks are scored: native, letterbox-S and corner-S (aspect kept, zero-padded), and stretch-S.

Each is a nearest-neighbour resize followed by padding, so it only repeats or drops source rows and columns. Two integer
vectors describe it: the number of times that each source row and each source column appears on the grid.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast

import numpy as np

from earthreason.errors import UnknownNameError

_NAME = re.compile(r"(native)|(letterbox|corner|stretch)-([1-9][0-9]{0,4})")


@dataclass(frozen=True)
class Grid:
    """Rule that places a mask of any size on a pixel grid.

    Attributes:
        kind: `native` keeps the size of the mask; `letterbox` scales the longer side to `side` and pads the other with
            background, centred; `corner` does so with the padding below and on the right, and rounds the other side
            instead of cutting it; `stretch` scales both sides to `side`.
        side: side of the grid in pixels; 0 for `native`.
    """

    kind: Literal["native", "letterbox", "corner", "stretch"]
    side: int = 0

    @property
    def name(self) -> str:
        return self.kind if self.kind == "native" else f"{self.kind}-{self.side}"

    @classmethod
    def parse(cls, name: str) -> Grid:
        """Parse the name of a grid, such as `native` or `letterbox-1024`.

        Raises:
            UnknownNameError: the name has none of the three forms.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            known = ["native", "letterbox-1024", "corner-1024", "stretch-840"]
            raise UnknownNameError("grid", name, known, "The number is the side of the canvas in pixels.")
        if match[1]:
            return cls("native")
        return cls(cast("Literal['letterbox', 'corner', 'stretch']", match[2]), int(match[3]))

    def resized_shape(self, height: int, width: int) -> tuple[int, int]:
        """Return rows and columns of a (height, width) mask after the resize, before padding."""
        if self.kind == "native":
            return height, width
        if self.kind == "stretch":
            return self.side, self.side
        if self.kind == "corner":
            # As SegEarth-R2 does: the shorter side becomes `side` first, then the longer one.
            long = self.side / min(height, width) * max(height, width)
            scale = min(1.0, self.side / long)
            short, long = int(self.side * scale + 0.5), int(long * scale + 0.5)
            return (short, long) if height < width else (long, short)
        # int(), not round(), and this order of operations: the reference evaluator truncates, so that e.g. a square
        # of 103 px becomes 1024 x 1023.
        if width > height:
            return int(height * (self.side / width)), self.side
        return self.side, int(width * (self.side / height))

    def source_indices(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the source row of each resized row and the source column of each resized column, both int64."""
        rows, columns = self.resized_shape(height, width)
        # Reference evaluators with a letterbox resize masks with OpenCV, those that stretch with Pillow.
        indices = centre_indices if self.kind == "stretch" else nearest_indices
        return indices(height, rows), indices(width, columns)

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Return rows and columns of the grid for a (height, width) mask."""
        return (height, width) if self.kind == "native" else (self.side, self.side)

    def padding(self, height: int, width: int) -> tuple[int, int]:
        """Return the padding rows above and columns left of the resized mask; the rest is below and right."""
        if self.kind == "corner":
            return 0, 0
        rows, columns = self.resized_shape(height, width)
        grid_rows, grid_columns = self.shape(height, width)
        return (grid_rows - rows) // 2, (grid_columns - columns) // 2


@lru_cache(maxsize=65536)
def nearest_indices(source: int, target: int) -> np.ndarray:
    """Return the (target,) int64 source indices of a nearest-neighbour resize from `source` to `target` pixels.

    The rule is floor(i * source / target) in double precision, as in OpenCV's INTER_NEAREST.
    """
    if target == 0:
        return np.zeros(0, np.int64)
    step = 1.0 / (target / source)
    return np.minimum(np.floor(np.arange(target) * step).astype(np.int64), source - 1)


@lru_cache(maxsize=65536)
def centre_indices(source: int, target: int) -> np.ndarray:
    """Return the (target,) int64 source indices of Pillow's NEAREST resize from `source` to `target` pixels.

    Pillow samples pixel centres, floor((i + 0.5) * source / target), by adding up steps in double precision.
    """
    steps = np.full(target, source / target)
    steps[:1] /= 2
    return np.minimum(np.cumsum(steps).astype(np.int64), source - 1)


@lru_cache(maxsize=4096)
def grid_weights(grid: Grid, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how often each source row and column appears on the grid: (height,) and (width,) int64."""
    rows, columns = grid.source_indices(height, width)
    return np.bincount(rows, minlength=height), np.bincount(columns, minlength=width)


def place_on_grid(mask: np.ndarray, grid: Grid) -> np.ndarray:
    """Place a (height, width) bool mask on the grid pixel by pixel, as the reference for the region kernel."""
    height, width = mask.shape
    rows, columns = grid.resized_shape(height, width)
    top, left = grid.padding(height, width)
    placed = np.zeros(grid.shape(height, width), bool)
    source_rows, source_columns = grid.source_indices(height, width)
    placed[top : top + rows, left : left + columns] = mask[source_rows][:, source_columns]
    return placed


def stretch_bilinear(mask: np.ndarray, side: int) -> np.ndarray:
    """Stretch a (height, width) bool mask to (side, side) bool: bilinear interpolation, foreground where it is above 0.

    The rule is torch's `interpolate` with `align_corners=False`, in single precision, without antialiasing. A value is
    above 0 exactly if one of the source pixels with a weight is foreground.
    """
    for axis in (0, 1):
        low, high = bilinear_indices(mask.shape[axis], side)
        mask = mask.take(low, axis) | mask.take(high, axis)
    return mask


@lru_cache(maxsize=4096)
def bilinear_indices(source: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the two (target,) int64 source indices with a weight in each interpolated value; they may be equal."""
    # torch multiplies and subtracts in one step, with one rounding to single precision.
    centres = (np.arange(target) + 0.5) * float(np.float32(source) / np.float32(target))
    positions = np.maximum((centres - 0.5).astype(np.float32), np.float32(0))
    low = positions.astype(np.int64)
    return low, np.minimum(low + (positions > low), source - 1)
