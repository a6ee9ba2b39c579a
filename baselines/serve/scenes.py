"""The scenes in the server's folder: what they are, and their pictures for the map."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from earthreason.errors import EarthReasonError
from earthreason.geo.grid import GeoGrid, Window
from earthreason.geo.scene import Block, Scene

from .rendering import PREVIEW_SIDE, fit, png_of
from .settings import RefusedError
from .warping import Bounds, MapArea, degrees, mercator_bounds, tile_area, warp, window_of

SUFFIXES = (".tif", ".tiff", ".jp2")
_MOST_OPEN = 8
_MOST_TILES = 1024
_ENOUGH = 0.7
"""A tile is cut from the overview if that has at least this share of the pixels it needs, each way."""


@dataclass(frozen=True)
class SceneFile:
    """A scene of the folder.

    Attributes:
        name: file name.
        path: file.
        grid: size and place.
        stamp: changes when the file does.
    """

    name: str
    path: Path
    grid: GeoGrid
    stamp: str

    @cached_property
    def bounds(self) -> Bounds | None:
        """Bounds in degrees of WGS 84; None if it has no place on the map."""
        bounds = mercator_bounds(self.grid)
        return None if bounds is None else degrees(bounds)


@dataclass
class _Opened:
    file: SceneFile
    scene: Scene
    closing: ExitStack
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_closed: bool = False

    @cached_property
    def overview(self) -> Block:
        """The whole scene, at most 2,048 px a side; kept, because a large file without overviews takes a while."""
        grid = self.scene.grid
        return self.scene.read(grid.whole, *fit(grid.height, grid.width, PREVIEW_SIDE))

    def see(self, area: MapArea) -> tuple[Block, GeoGrid] | None:
        """Read what an area of the map shows, and return it with its grid; None if it shows nothing."""
        grid = self.scene.grid
        seen = window_of(grid, area)
        if seen is None:
            return None
        window, height, width = seen
        if window.width / width < _ENOUGH * max(grid.width, grid.height) / PREVIEW_SIDE:
            return self.scene.read(window, height, width), grid.cut(window).resized(height, width)
        small = grid.resized(*self.overview.pixels.shape[:2])
        part = window_of(small, area)
        return None if part is None else (_cut(self.overview, part[0]), small.cut(part[0]))

    def close(self) -> None:
        with self.lock:
            self.is_closed = True
            self.closing.close()


class Scenes:
    """The rasters of a folder, by file name. A few stay open for the map."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = None if folder is None else folder.resolve()
        self._opened: OrderedDict[str, _Opened] = OrderedDict()
        self._files: dict[str, SceneFile] = {}
        self._tiles: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def list(self) -> list[SceneFile]:
        """List the scenes that can be opened, by name."""
        found = []
        for path in sorted(self.folder.iterdir()) if self.folder else []:
            if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
                try:
                    found.append(self.find(path.name))
                except EarthReasonError:
                    continue  # what cannot be read is not offered; asking for it says why
        return found

    def find(self, name: str) -> SceneFile:
        """Find a scene.

        Raises:
            RefusedError: the folder has no such scene, or it lies elsewhere.
            DataFormatError: it cannot be read.
        """
        known = self._files.get(name)
        if known is not None and known.stamp == self.stamp(name):
            return known
        with self._borrow(name) as opened:
            return opened.file

    @contextmanager
    def open(self, name: str) -> Iterator[Scene]:
        """Open a scene for one reader.

        Raises:
            RefusedError: see `find`.
            DataFormatError: see `find`.
        """
        from earthreason.geo.reading import open_scene

        with open_scene(self._path(name)) as scene:
            yield scene

    def tile(self, name: str, zoom: int, column: int, row: int) -> bytes:
        """Draw a tile of 256 px of the web map; what lies outside the scene is transparent.

        Raises:
            RefusedError: there is no such scene, or no such tile.
        """
        area = tile_area(zoom, column, row)
        if area is None:
            raise RefusedError(404, f"there is no tile {zoom}/{column}/{row}")
        key = f"{self.stamp(name)}/{zoom}/{column}/{row}"
        if (kept := self._tiles.get(key)) is not None:
            return kept
        with self._borrow(name) as opened:
            if opened.file.bounds is None:
                raise RefusedError(404, f"{name} has no place on the map; use overview.png")
            seen = opened.see(area)
        if seen is None:
            drawn = png_of(np.zeros((area.height, area.width, 4), np.uint8))
        else:
            drawn = png_of(np.moveaxis(warp(_bands(seen[0]), seen[1], area, smooth=True), 0, -1))
        with self._lock:
            self._tiles[key] = drawn
            while len(self._tiles) > _MOST_TILES:
                self._tiles.popitem(last=False)
        return drawn

    def overview(self, name: str) -> bytes:
        """Draw a whole scene, at most 2,048 px a side.

        Raises:
            RefusedError: there is no such scene.
        """
        with self._borrow(name) as opened:
            return png_of(np.moveaxis(_bands(opened.overview), 0, -1))

    def stamp(self, name: str) -> str:
        """Return a text that changes when the file of a scene does."""
        status = self._path(name).stat()
        text = f"{name}\0{status.st_size}\0{status.st_mtime_ns}"
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    def close(self) -> None:
        """Close all scenes."""
        with self._lock:
            opened, self._opened = list(self._opened.values()), OrderedDict()
        for one in opened:
            one.close()

    @contextmanager
    def _borrow(self, name: str) -> Iterator[_Opened]:
        """Open a scene, or take the opened one, for one thread at a time."""
        while True:
            opened = self._find_opened(name)
            with opened.lock:
                if not opened.is_closed:  # another thread may have made room meanwhile
                    yield opened
                    return

    def _find_opened(self, name: str) -> _Opened:
        from earthreason.geo.reading import open_scene

        stamp = self.stamp(name)
        with self._lock:
            opened = self._opened.get(name)
        if opened is not None and opened.file.stamp == stamp:
            return opened
        closing = ExitStack()
        scene = closing.enter_context(open_scene(self._path(name)))
        opened = _Opened(SceneFile(name, self._path(name), scene.grid, stamp), scene, closing)
        with self._lock:
            outdated = [self._opened.pop(name)] if name in self._opened else []
            self._opened[name] = opened
            self._files[name] = opened.file
            while len(self._opened) > _MOST_OPEN:
                outdated.append(self._opened.popitem(last=False)[1])
        for one in outdated:
            one.close()
        return opened

    def _path(self, name: str) -> Path:
        unknown = RefusedError(404, f"there is no scene {name!r}")
        plain = name and not name.startswith(".") and not set(name) & {"/", "\\", "\0"}
        if self.folder is None or not plain or Path(name).suffix.lower() not in SUFFIXES:
            raise unknown
        path = self.folder / name
        try:
            if not path.is_file() or path.resolve().parent != self.folder:  # a link may lead elsewhere
                raise unknown
        except OSError:
            raise unknown from None
        return path


def _cut(block: Block, window: Window) -> Block:
    rows, columns = slice(window.top, window.bottom), slice(window.left, window.right)
    return Block(block.pixels[rows, columns], None if block.valid is None else block.valid[rows, columns])


def _bands(block: Block) -> np.ndarray:
    """Return (4, height, width) uint8: red, green, blue and alpha."""
    alpha = np.full(block.pixels.shape[:2], 255, np.uint8)
    if block.valid is not None:
        alpha[~block.valid] = 0
    return np.concatenate([np.moveaxis(block.pixels, -1, 0), alpha[None]])
