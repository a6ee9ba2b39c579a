"""Where the pixels of a raster lie: size, transform and coordinate reference system (CRS)."""

from __future__ import annotations

from dataclasses import dataclass, replace

Transform = tuple[float, float, float, float, float, float]
"""a, b, c, d, e, f: a pixel corner (column, row) lies at x = a column + b row + c, y = d column + e row + f."""


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels, such as a tile.

    Attributes:
        left: first column.
        top: first row.
        width: columns.
        height: rows.
    """

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """Column after the last."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """Row after the last."""
        return self.top + self.height

    def touches(self, other: Window) -> bool:
        """Tell whether two windows share a pixel."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


@dataclass(frozen=True)
class GeoGrid:
    """Size and place of a raster.

    Attributes:
        height: rows.
        width: columns.
        transform: pixel corners to world coordinates; None without georeference. Rasters whose coordinates mean pixel
            centres (pixel is point) are shifted to corners when they are read.
        crs: CRS as WKT; None if the file does not state one.
    """

    height: int
    width: int
    transform: Transform | None = None
    crs: str | None = None

    @property
    def whole(self) -> Window:
        """Window of all pixels."""
        return Window(0, 0, self.width, self.height)

    def resized(self, height: int, width: int) -> GeoGrid:
        """Return the grid of the same place with another number of pixels."""
        if self.transform is None:
            return replace(self, height=height, width=width)
        a, b, c, d, e, f = self.transform
        across, down = self.width / width, self.height / height
        return replace(self, height=height, width=width, transform=(a * across, b * down, c, d * across, e * down, f))

    def cut(self, window: Window) -> GeoGrid:
        """Return the grid of a window."""
        if self.transform is None:
            return replace(self, height=window.height, width=window.width)
        a, b, c, d, e, f = self.transform
        x, y = a * window.left + b * window.top + c, d * window.left + e * window.top + f
        return replace(self, height=window.height, width=window.width, transform=(a, b, x, d, e, y))
