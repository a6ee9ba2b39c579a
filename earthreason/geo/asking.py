"""Ask a model about the tiles of a scene, and keep what it answers row by row."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from PIL import Image

from earthreason.geo.blending import NO_DATA, Band, blend_window, columns_at_once, marked, pack
from earthreason.geo.grid import GeoGrid, Window
from earthreason.geo.journal import RowRecord, Rows
from earthreason.geo.model import TileModel, TileScores
from earthreason.geo.scene import Block, Scene
from earthreason.geo.tiling import Tiling, map_window, whole_pixels
from earthreason.types import Predictor

logger = logging.getLogger("earthreason.geo")
Progress = Callable[[int, int], None]
"""Called with the number of finished tiles and of all tiles."""
TILES = 8
"""Tiles that are read and handed to the model at once."""
SURE = 10.0
"""Logit of a pixel that a predictor of masks marks."""


class InsideArea(Protocol):
    """Part of a grid."""

    def inside(self, window: Window) -> np.ndarray | None:
        """Return (height, width) bool of a window, True inside; None if all of it is."""


@dataclass
class MaskModel:
    """Any `Predictor` as a `TileModel`: its masks count as sure."""

    predictor: Predictor
    name: str
    tile_side: int = 1024
    ground_resolution: tuple[float, float] | None = None
    no_target_threshold: float = 0.5

    def score_tiles(self, tiles: Sequence[np.ndarray], questions: Sequence[str]) -> Iterator[TileScores]:
        """Yield the scores of every tile, (height, width, 3) uint8, for all questions."""
        for tile in tiles:
            masks = self.predictor.predict([Image.fromarray(tile)] * len(questions), list(questions))
            empty = np.zeros(tile.shape[:2], bool)
            logits = [np.where(empty if mask is None else mask, SURE, -SURE) for mask in masks]
            none = [mask is None or not mask.any() for mask in masks]
            yield TileScores(np.stack(logits).astype(np.float32), np.array(none, np.float32))


def as_tile_model(model: TileModel | Predictor) -> TileModel:
    """Return a model that scores tiles: the model itself, or an adapter of a predictor of masks."""
    if hasattr(model, "score_tiles"):
        return cast(TileModel, model)
    return MaskModel(model, type(model).__name__)


def ask_tiles(
    scene: Scene,
    tiling: Tiling,
    model: TileModel,
    questions: Sequence[str],
    rows: Rows,
    scratch: Path,
    area: InsideArea | None = None,
    threshold: float = 0.5,
    progress: Progress | None = None,
) -> None:
    """Ask about every tile of the rows that `rows` lacks.

    Tiles without data in the area are not asked. A tile that the model answers with "no target" votes against: its
    logits count as -|logit|.

    Args:
        scene: opened scene.
        tiling: tiles to ask about.
        model: model to ask.
        questions: questions, all asked about each tile at once.
        rows: finished rows, and where to keep further ones.
        scratch: folder for sums that exceed the memory.
        area: pixels that count; None for all.
        threshold: probability above which a pixel is marked.
        progress: function to tell of finished tiles.
    """
    asker = _Asker(scene, tiling, model, questions, area, progress, len(rows.records) * len(tiling.lefts))
    if len(rows.records) == len(tiling.tops):
        return
    if len(tiling) == 1:
        _ask_one(asker, rows, threshold)
        return
    out, falling = tiling.area, blend_window(tiling.height, tiling.width)
    with Band(len(questions), tiling.height, out.width, scratch) as band:
        rows.restore(band)
        for number in range(len(rows.records), len(tiling.tops)):
            base = rows.records[-1].top + rows.records[-1].height if rows.records else 0
            is_last = number + 1 == len(tiling.tops)
            end = out.height if is_last else max(base, min(tiling.tops[number + 1] - out.top, out.height))
            for tile, block, scores in asker.row(number):
                shared = _overlap(tile, out)
                weights = falling if block.valid is None else np.where(block.valid, falling, np.float32(0))
                inner = _slices(shared, tile)
                band.add(shared.top - out.top - base, shared.left - out.left, scores.logits[:, *inner], weights[inner])
            counts = np.zeros(len(questions), np.int64)
            blocks = (
                (left, asker.finish(logits, Window(left, base, logits.shape[2], end - base), threshold, counts))
                for left, logits in band.finish(end - base)
            )
            if end > base:
                rows.write(base, end - base, blocks)
            band.move(end - base)
            carried = 0 if is_last else max(0, min(tiling.tops[number] + tiling.height - out.top, out.height) - end)
            record = RowRecord(base, end - base, carried, asker.asked, asker.lowest, counts.tolist(), asker.known)
            rows.commit(record, None if is_last else band)


def _ask_one(asker: _Asker, rows: Rows, threshold: float) -> None:
    """Ask about the only tile; its logits are not blended, so they stay what the model gave."""
    out = asker.tiling.area
    counts = np.zeros(len(asker.questions), np.int64)
    found = list(asker.row(0))

    def blocks() -> Iterator[tuple[int, np.ndarray]]:
        columns = columns_at_once(len(asker.questions))
        for left in range(0, out.width, columns):
            part = Window(left, 0, min(columns, out.width - left), out.height)
            logits = np.full((len(asker.questions), part.height, part.width), np.nan, np.float32)
            for tile, block, scores in found:
                inner = _slices(Window(out.left + left, out.top, part.width, part.height), tile)
                logits[:] = scores.logits[:, *inner]
                if block.valid is not None:
                    logits[:, ~block.valid[inner]] = np.nan
            yield left, asker.finish(logits, part, threshold, counts)

    rows.write(0, out.height, blocks())
    rows.commit(RowRecord(0, out.height, 0, asker.asked, asker.lowest, counts.tolist(), asker.known))


class _Asker:
    """Reads the tiles of a row and asks about them."""

    def __init__(
        self,
        scene: Scene,
        tiling: Tiling,
        model: TileModel,
        questions: Sequence[str],
        area: InsideArea | None,
        progress: Progress | None,
        done: int,
    ) -> None:
        self.scene, self.tiling, self.model, self.questions = scene, tiling, model, list(questions)
        self.area, self.progress, self.done = area, progress, done
        self.asked, self.known, self.lowest = 0, 0, list[float]()
        self._tell(0)

    def _tell(self, tiles: int) -> None:
        self.done += tiles
        if self.progress is not None:
            self.progress(self.done, len(self.tiling))

    def row(self, number: int) -> Iterator[tuple[Window, Block, TileScores]]:
        """Yield tile, pixels and scores of each asked tile of a row, from left to right."""
        self.asked, self.known, self.lowest = 0, 0, []
        tiles = list(self.tiling.row(number))
        for start in range(0, len(tiles), TILES):
            part = tiles[start : start + TILES]
            read = [(tile, block) for tile in part if (block := self._read(tile)) is not None]
            if read:
                scored = self.model.score_tiles([block.pixels for _, block in read], self.questions)
                for (tile, block), scores in zip(read, scored, strict=True):
                    yield tile, block, self._vote(scores)
            self._tell(len(part))

    def _read(self, tile: Window) -> Block | None:
        """Return the pixels of a tile, or None if it has no data in the area."""
        shared = _overlap(tile, self.tiling.area)
        inside = None if self.area is None else self.area.inside(shared)
        if inside is not None and not inside.any():
            return None
        block = read_block(self.scene, self.tiling.grid, tile)
        if block.valid is not None:
            valid = block.valid[_slices(shared, tile)]
            if not (valid if inside is None else valid & inside).any():
                return None
        return block

    def _vote(self, scores: TileScores) -> TileScores:
        self.asked += 1
        told = [float(score) for score in scores.no_target_scores]
        self.lowest = [min(pair) for pair in zip(self.lowest or told, told, strict=True)]
        against = np.array([score > self.model.no_target_threshold for score in told])[:, None, None]  # (Q, 1, 1)
        if not against.any():
            return scores
        return TileScores(np.where(against, -np.abs(scores.logits), scores.logits), scores.no_target_scores)

    def finish(self, logits: np.ndarray, part: Window, threshold: float, counts: np.ndarray) -> np.ndarray:
        """Return packed pixels of a part of the answered area, and count those that are marked or have data."""
        out = self.tiling.area
        inside = None
        if self.area is not None:
            inside = self.area.inside(Window(part.left + out.left, part.top + out.top, part.width, part.height))
        if inside is not None:
            logits = np.where(inside, logits, np.float32(np.nan))
        packed = np.empty(logits.shape, np.uint16)
        for number, values in enumerate(logits):
            packed[number] = pack(values, threshold)
            counts[number] += np.count_nonzero(marked(packed[number]))
        self.known += int(np.count_nonzero(packed[0] != NO_DATA))
        return packed


def read_block(scene: Scene, grid: GeoGrid, window: Window) -> Block:
    """Read a window of `grid`, a grid of the scene's place with another number of pixels.

    A reduced window is read from the nearest whole pixels of the scene; an enlarged one is interpolated exactly.
    """
    if (grid.height, grid.width) == (scene.grid.height, scene.grid.width):
        return scene.read(window, window.height, window.width)
    box = map_window(window, grid, scene.grid)
    if grid.width <= scene.grid.width:
        near = round(box[0]), round(box[1]), round(box[2]), round(box[3])
        source = whole_pixels(near, scene.grid)
        return scene.read(source, window.height, window.width)
    # Two pixels more on each side, so that tiles are interpolated from the same pixels where they overlap.
    source = whole_pixels((box[0] - 2, box[1] - 2, box[2] + 2, box[3] + 2), scene.grid)
    block = scene.read(source, source.height, source.width)
    inner = (
        max(0.0, box[0] - source.left),
        max(0.0, box[1] - source.top),
        min(float(source.width), box[2] - source.left),
        min(float(source.height), box[3] - source.top),
    )
    size = (window.width, window.height)
    pixels = np.asarray(Image.fromarray(block.pixels).resize(size, Image.Resampling.BICUBIC, box=inner))
    if block.valid is None:
        return Block(pixels)
    grey = Image.fromarray(block.valid.astype(np.uint8) * 255)
    return Block(pixels, np.asarray(grey.resize(size, Image.Resampling.NEAREST, box=inner)) > 0)


def _overlap(tile: Window, area: Window) -> Window:
    left, top = max(tile.left, area.left), max(tile.top, area.top)
    return Window(left, top, min(tile.right, area.right) - left, min(tile.bottom, area.bottom) - top)


def _slices(part: Window, whole: Window) -> tuple[slice, slice]:
    """Return the rows and columns of `part` in an array of `whole`."""
    return (
        slice(part.top - whole.top, part.bottom - whole.top),
        slice(part.left - whole.left, part.right - whole.left),
    )
