"""The shapes that are drawn on a canvas: sets of pixels, outlines, and the places of objects."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

Points = np.ndarray  # (n, 2) float64, rows of (x, y) pixels


@dataclass(frozen=True)
class Region:
    """A set of pixels: a mask, (h, w) bool, within the window `rows` x `columns` of the canvas."""

    rows: slice
    columns: slice
    mask: np.ndarray

    @property
    def area(self) -> int:
        return int(self.mask.sum())


NOWHERE = Region(slice(0, 0), slice(0, 0), np.zeros((0, 0), bool))


@dataclass(frozen=True)
class Spot:
    """The position of an object: centre and half its longest extent in pixels, and direction in radians."""

    x: float
    y: float
    radius: float
    angle: float

    def at(self, points: Iterable[Sequence[float]]) -> Points:
        """Convert points in the object's frame (pixels, origin at its centre) to points on the canvas."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        if not isinstance(points, np.ndarray):  # few points: arithmetic of arrays would take longer
            return np.array([(x * cos - y * sin + self.x, x * sin + y * cos + self.y) for x, y in points], np.float64)
        return points.reshape(-1, 2) @ np.array([[cos, sin], [-sin, cos]]) + (self.x, self.y)

    def moved(self, dx: float, dy: float) -> Spot:
        """Return the spot at (dx, dy) in the object's frame, with the same radius and direction."""
        x, y = self.at([(dx, dy)])[0].tolist()
        return Spot(x, y, self.radius, self.angle)

    def box(self, width: float, height: float, dx: float = 0.0, dy: float = 0.0) -> Points:
        """Return the 4 corners of a rectangle around (dx, dy) in the object's frame."""
        w, h = width / 2, height / 2
        return self.at([(dx - w, dy - h), (dx + w, dy - h), (dx + w, dy + h), (dx - w, dy + h)])

    def ellipse(self, width: float, height: float, dx: float = 0.0, dy: float = 0.0, points: int = 40) -> Points:
        """Return the outline of an ellipse around (dx, dy) in the object's frame."""
        return self.at(_circle(points) * (width / 2, height / 2) + (dx, dy))

    def oval(self, length: float, width: float) -> Points:
        """Return the outline of a running track: a rectangle with a half circle at each end."""
        r = width / 2
        straight = max(length / 2 - r, 0.0)
        t = np.linspace(-np.pi / 2, np.pi / 2, 16)
        right = np.stack([straight + r * np.cos(t), r * np.sin(t)], axis=1)
        return self.at(np.concatenate([right, -right]))


@dataclass(frozen=True)
class Plot(Spot):
    """A spot with the outline of its object; width and height are in pixels."""

    width: float
    height: float
    outline: Points
    region: Region


@cache
def _circle(points: int) -> Points:
    """Return points on the unit circle: (points, 2) float64."""
    t = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([np.cos(t), np.sin(t)], axis=1)


def overlap(region: Region, other: Region) -> Region:
    """Return the pixels that two regions share."""
    window = (
        slice(max(a.start, b.start), max(a.start, b.start, min(a.stop, b.stop)))
        for a, b in ((region.rows, other.rows), (region.columns, other.columns))
    )
    rows, columns = window
    first, second = (
        part.mask[
            rows.start - part.rows.start : rows.stop - part.rows.start,
            columns.start - part.columns.start : columns.stop - part.columns.start,
        ]
        for part in (region, other)
    )
    return Region(rows, columns, first & second) if first.size and second.size else NOWHERE


def closed(points: Points) -> Points:
    """Close a polygon: return a line that ends where it begins."""
    return np.concatenate([points, points[:1]])
