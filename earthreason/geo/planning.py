"""Decide how a scene is answered: its questions, grid, area and tiles."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from earthreason.errors import EarthReasonError, show_value
from earthreason.geo.asking import read_block
from earthreason.geo.grid import GeoGrid, Window
from earthreason.geo.model import TileModel
from earthreason.geo.scene import Scene
from earthreason.geo.tiling import WHOLE_PIXELS, Tiling, choose_side, lay_tiles, limited, working_grid

if TYPE_CHECKING:
    from earthreason.geo.area import Area
    from earthreason.geo.bands import Stretch

logger = logging.getLogger("earthreason.geo")
UNKNOWN_SIDE = 1 << 30
"""Side of a tile, in pixels, that holds every scene."""
LONGEST_QUESTION = 1000
"""Characters of a question at most."""
MOST_QUESTIONS = 100
"""Questions about a scene at most."""


@dataclass(frozen=True)
class Settings:
    """How a scene is answered.

    Attributes:
        tile: side of the tiles in pixels; 0 shows the model the whole scene, scaled down; None takes the model's side,
            or one tile for a scene that is hardly larger.
        overlap: share of a tile that overlaps the next.
        gsd: ground resolution to work at, metres per pixel; None takes the scene's, or the nearest the model knows.
        bands: numbers of the bands to show, from 1; None takes those that the file names.
        stretch: how numbers become 8 bits; None takes percentiles of the pixels.
        threshold: probability above which a pixel is marked, from 0 to 1.
        aoi_crs: CRS of the area of interest; None takes what its form implies.
        words: whether the model also answers in words.
    """

    tile: int | None = None
    overlap: float = 0.25
    gsd: float | None = None
    bands: tuple[int, ...] | None = None
    stretch: Stretch | None = None
    threshold: float = 0.5
    aoi_crs: str | None = None
    words: bool = False


@dataclass(frozen=True)
class Plan:
    """What of a scene is answered, on which grid, in which tiles.

    Attributes:
        tiling: tiles, on the working grid of the whole scene.
        area: area of interest on that grid; None for the whole scene.
    """

    tiling: Tiling
    area: Area | None

    @property
    def grid(self) -> GeoGrid:
        """Grid of the answers: the window of the area."""
        return self.tiling.grid.cut(self.tiling.area)


def make_plan(scene: Scene, model: TileModel | None, aoi: Any, settings: Settings, questions: int = 1) -> Plan:
    """Decide on grid, area and tiles.

    Args:
        scene: opened scene.
        model: model to ask; None checks what can be checked before it is loaded.
        aoi: area of interest; None means the whole scene.
        settings: how the scene is answered.
        questions: number of questions.

    Raises:
        EarthReasonError: the area lies outside the scene, or a setting is out of range.
    """
    from earthreason.geo.area import parse_area
    from earthreason.geo.resolution import ground_resolution

    if not 0 <= settings.threshold <= 1:
        raise EarthReasonError(f"threshold {settings.threshold:g}: must be between 0 and 1")
    own = scene.grid
    seen, model_side = (None, UNKNOWN_SIDE) if model is None else (model.ground_resolution, model.tile_side)
    resolution = ground_resolution(own)
    grid = working_grid(own, resolution, seen, settings.gsd, scene.name)
    if model is not None and resolution is not None:
        _tell_resolution(scene.name, resolution, ground_resolution(grid), seen, settings.gsd)
    asked = None if aoi is None else parse_area(aoi, own, settings.aoi_crs)
    area = None if asked is None else asked.on(grid)
    window = grid.whole if area is None else area.window
    if settings.tile == 0:
        most = min(WHOLE_PIXELS, 4 * WHOLE_PIXELS // questions)
        if window.width * window.height > most:
            share = most / (window.width * window.height)
            grid = limited(grid, int(grid.width * grid.height * share))
            area = None if asked is None else asked.on(grid)
            window = grid.whole if area is None else area.window
        tiling = lay_tiles(grid, 0, area=window)
    else:
        side = choose_side(grid, model_side) if settings.tile is None else settings.tile
        tiling = lay_tiles(grid, side, settings.overlap, window)
    if settings.tile is None and max(tiling.height, tiling.width) > 4 * model_side:
        logger.warning(
            "%s is seen at 1/%.0f of its scale; --tile %d keeps details",
            *(scene.name, max(tiling.height, tiling.width) / model_side, model_side),
        )
    return Plan(tiling, area)


def _tell_resolution(
    name: str, own: float, worked: float | None, seen: tuple[float, float] | None, asked: float | None
) -> None:
    """Say at which GSD a scene is answered, if that is not its own or not one that the model knows."""
    if worked is None:
        return
    if worked != own:
        bound = "finest" if worked > own else "coarsest"
        reason = "as asked" if asked is not None else f"the {bound} that the model knows; --gsd changes it"
        if asked is None and seen is not None and not _is_near(worked, seen[0 if worked > own else 1]):
            reason = f"{own / worked:.3g} times as many pixels a side, which is the most; --gsd changes it"
        logger.info("%s: %.3g m per pixel, worked at %.3g m, %s", name, own, worked, reason)
    if asked is not None and seen is not None and not seen[0] * 0.99 <= worked <= seen[1] * 1.01:
        logger.warning(
            "%s: worked at %.3g m as asked, but the model knows %.3g to %.3g m, so its answers are doubtful",
            *(name, worked, *seen),
        )


def _is_near(value: float, bound: float) -> bool:
    return abs(value / bound - 1) < 0.1


def check_questions(questions: Sequence[str]) -> list[str]:
    """Return questions without blanks around them.

    Raises:
        EarthReasonError: there are none or too many, or one is empty, too long, not Unicode or there twice.
    """
    if not questions:
        raise EarthReasonError("there are no questions; give at least one")
    if len(questions) > MOST_QUESTIONS:
        raise EarthReasonError(f"{len(questions)} questions are too many; ask at most {MOST_QUESTIONS} at a time")
    found: list[str] = []
    for number, given in enumerate(questions, 1):
        name = "the question" if len(questions) == 1 else f"question {number}"
        if not isinstance(given, str):
            raise EarthReasonError(f"{name}: {show_value(given)} is not text")
        question = given.strip()
        if not question:
            raise EarthReasonError(f"{name} is empty")
        if len(question) > LONGEST_QUESTION:
            raise EarthReasonError(
                f"{name} has {len(question):,} characters; shorten it to {LONGEST_QUESTION:,} or fewer"
            )
        try:
            question.encode()
        except UnicodeEncodeError:
            raise EarthReasonError(f"{name} is not Unicode text: {show_value(question)}") from None
        if question in found:
            raise EarthReasonError(f"{name} is there twice: {show_value(question)}; ask it once")
        found.append(question)
    return found


def read_overview(scene: Scene, grid: GeoGrid, area: Window, side: int) -> np.ndarray:
    """Return (height, width, 3) uint8 of an area of `grid`, at most `side` pixels long and never enlarged."""
    shrink = min(1.0, side / max(area.width, area.height))
    small = grid.resized(max(1, round(grid.height * shrink)), max(1, round(grid.width * shrink)))
    left, top = round(area.left * small.width / grid.width), round(area.top * small.height / grid.height)
    width, height = max(1, round(area.width * shrink)), max(1, round(area.height * shrink))
    window = Window(min(left, small.width - 1), min(top, small.height - 1), width, height)
    window = Window(
        *(window.left, window.top, min(width, small.width - window.left), min(height, small.height - window.top))
    )
    return read_block(scene, small, window).pixels
