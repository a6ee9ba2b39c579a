"""Trace the outlines of labelled regions along pixel edges, in a time and memory that grow with their corners.

GDAL's polygonize, and GEOS's check of what it returns, take a time that grows with the square of the holes of a region,
which is minutes for the mask of a forest.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Corners:
    """Corners of outlines, collected from the top of a mask to its bottom.

    At a corner, an outline turns. Where two marked pixels meet at their corners only, there are two corners: the first
    has the edge to the left, the second the one to the right. So in reading order, every horizontal edge joins the
    corners 2 k and 2 k + 1.

    Attributes:
        width: columns of the mask.
        count: corners so far.
    """

    width: int
    count: int = 0
    _parts: list[tuple[np.ndarray, ...]] = field(default_factory=list)

    def add(self, top: int, above: np.ndarray, labels: np.ndarray) -> None:
        """Add the corners at the upper edges of some rows.

        Args:
            top: number of the first row.
            above: (width,) labels of the row before, 0 where nothing is marked.
            labels: (rows, width) labels.
        """
        if not labels.any():
            if not above.any():
                return
            labels = labels[:1]
        framed = np.zeros((len(labels) + 1, self.width + 2), np.int32)
        framed[0, 1:-1], framed[1:, 1:-1] = above, labels
        marked = framed > 0
        edges = marked[:-1] ^ marked[1:]  # horizontal ones
        left, right = edges[:, :-1], edges[:, 1:]
        crossing = left & right & (marked[:-1, :-1] ^ marked[:-1, 1:])
        places = np.flatnonzero((left ^ right) | crossing)
        rows, columns = np.divmod(places, self.width + 1)
        double = crossing.ravel()[places]
        west = np.maximum(framed[rows, columns], framed[rows + 1, columns])
        lower = framed[rows + 1, columns + 1]
        east = np.maximum(framed[rows, columns + 1], lower)
        times = np.where(double, 2, 1)
        second = np.cumsum(times)[double] - 1
        owners = np.repeat(np.where(double, west, np.maximum(west, east)), times)
        owners[second] = east[double]
        first = np.zeros(len(owners), bool)
        first[second - 1] = True
        rows, columns = (np.repeat(axis, times).astype(np.int32) for axis in (rows + top, columns))
        self._parts.append((rows, columns, owners, np.repeat(lower > 0, times), first))
        self.count += len(owners)

    def polygons(self, components: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the (n,) polygons in the order of their first pixels, and the (n,) component of each.

        Coordinates are columns and rows. Every ring is simple, and every polygon valid.

        Args:
            components: (labels,) component from 0 of each label from 1.
        """
        import shapely

        if not self.count:
            return np.zeros(0, object), np.zeros(0, np.int64)
        rows, columns, owners, below, first = (np.concatenate(arrays) for arrays in zip(*self._parts, strict=True))
        self._parts.clear()
        owners = components[owners - 1]
        following = _following(columns, owners, below, first)
        order, starts = _in_rings(following)
        across, down = columns[order].astype(np.int64), rows[order].astype(np.int64)
        after = following[order]
        doubled = np.add.reduceat(across * rows[after] - columns[after] * down, starts)  # twice the area
        del after, following
        ring_owners = owners[order[starts]]
        holes = doubled < 0
        rank = np.empty(int(components.max()) + 1, np.int64)
        rank[ring_owners[~holes]] = order[starts[~holes]]  # an outline begins at the first pixel of its region
        sequence = np.lexsort((order[starts], holes, rank[ring_owners]))
        lengths = np.diff(starts, append=self.count)[sequence] + 1  # rings are closed
        ends = np.cumsum(lengths)
        taken = np.arange(ends[-1]) + np.repeat(starts[sequence] - (ends - lengths), lengths)
        taken[ends - 1] = starts[sequence]
        points = np.empty((len(taken), 2))
        points[:, 0], points[:, 1] = across[taken], down[taken]
        outlines = np.flatnonzero(~holes[sequence])
        offsets = (np.concatenate([[0], ends]), np.append(outlines, len(sequence)))
        found = shapely.from_ragged_array(shapely.GeometryType.POLYGON, points, offsets)
        return found, ring_owners[sequence][outlines]


def _following(columns: np.ndarray, owners: np.ndarray, below: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return (n,) int32: the corner after each along its ring, marked pixels being on the right.

    Where a region meets itself at a pixel corner, its rings touch there but do not cross or pass twice, as the standard
    asks; where two regions meet, each keeps to its own pixel.
    """
    count = len(columns)
    upright = np.arange(count, dtype=np.int32)  # who takes the place of whom in the order of vertical edges
    pairs = np.flatnonzero(first)
    swapped = pairs[below[pairs] == (owners[pairs] == owners[pairs + 1])]
    upright[swapped], upright[swapped + 1] = swapped + 1, swapped
    upright = upright[np.argsort(columns, kind="stable")]
    following = np.empty(count, np.int32)
    following[upright[0::2]], following[upright[1::2]] = upright[1::2], upright[0::2]
    lefts = np.arange(0, count, 2, dtype=np.int32)
    rightward = below[lefts]
    following[lefts[rightward]] = lefts[rightward] + 1
    following[lefts[~rightward] + 1] = lefts[~rightward]
    return following


def _in_rings(following: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) corners ring after ring, each from its first corner, and (rings,) where each ring begins."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components, depth_first_order

    count = len(following)
    bounds, ones = np.arange(count + 1, dtype=np.int32), np.ones(count)
    rings, ring = connected_components(csr_array((ones, following, bounds), shape=(count, count)), directed=False)
    first = np.empty(rings, np.int64)
    first[ring[::-1]] = np.arange(count, dtype=np.int32)[::-1]  # the last to be assigned is the first
    before = np.empty(count, np.int32)
    before[following] = np.arange(count, dtype=np.int32)
    path = following.copy()  # one path through all rings, which is walked at the speed of C
    path[before[first]] = np.append(first[1:], before[first[-1]])
    del before
    order = depth_first_order(
        csr_array((ones, path, bounds), shape=(count, count)), first[0], return_predecessors=False
    )
    lengths = np.bincount(ring, minlength=rings)
    return order, np.cumsum(lengths) - lengths
