"""What the server uses of the geo package: answers about a scene, their measures and their files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from earthreason.errors import EarthReasonError
from earthreason.files import write_json
from earthreason.geo.answers import SceneAnswers
from earthreason.geo.ellipsoid import is_on_earth
from earthreason.geo.grid import GeoGrid, Window
from earthreason.geo.model import TileModel
from earthreason.geo.resolution import ground_resolution
from earthreason.geo.scene import Scene

from ..common.prompt import TASKS
from .rendering import PREVIEW_SIDE, fit


@contextmanager
def answer_scene(
    model: TileModel,
    scene: Scene,
    path: Path,
    questions: Sequence[str],
    area: str | None,
    words: bool = False,
    checkpoint: str = "",
) -> Iterator[tuple[SceneAnswers, np.ndarray]]:
    """Answer questions about a scene, or an area of it.

    Args:
        model: model to ask.
        scene: opened scene.
        path: its file.
        questions: questions, all different.
        area: "west,south,east,north" in degrees; None for the whole scene.
        words: ask the model also for an answer in words.
        checkpoint: name of the weights, for the metadata.

    Yields:
        The answers, and the picture of the answered area, (height, width, 3) uint8, at most 2,048 px a side.

    Raises:
        EarthReasonError: the area lies outside, the file is damaged, or a question is unusable.
    """
    from earthreason.geo.planning import Settings
    from earthreason.geo.predictor import GeoPredictor

    settings = Settings(words=words)
    with GeoPredictor(model, checkpoint).answer_opened(scene, path, list(questions), area, settings) as answers:
        window = scene.grid.whole if area is None else area_window(area, scene.grid)
        height, width = fit(answers.grid.height, answers.grid.width, PREVIEW_SIDE)
        yield answers, scene.read(window, height, width).pixels


def area_window(area: str, grid: GeoGrid) -> Window:
    """Return the window of an area, "west,south,east,north" in degrees.

    Raises:
        EarthReasonError: the text is not four numbers, the grid has no CRS, or the area lies outside.
    """
    from earthreason.geo.area import parse_area

    try:
        numbers = [float(part) for part in area.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):  # `parse_area` also takes paths of files
        raise EarthReasonError("area: give west,south,east,north in degrees")
    return parse_area(area, grid, "EPSG:4326").window


def magnification(grid: GeoGrid, model: TileModel) -> float:
    """Return the number of pixels that are answered for each pixel of a scene; under 1 if it is scaled down."""
    from earthreason.geo.tiling import working_grid

    worked = working_grid(grid, ground_resolution(grid), model.ground_resolution)
    return worked.height * worked.width / (grid.height * grid.width)


def measure_answer(answers: SceneAnswers) -> tuple[float, float | None, int]:
    """Measure a single answer: share of the pixels with data, area in m2 and regions.

    The area is None without a CRS, and of masks that are noise.
    """
    from earthreason.geo.layers import layer_of

    grid, raster = answers.grid, answers.answers[0].raster
    marked, known = raster.mask(grid.whole), np.isfinite(raster.probability(grid.whole))
    share = float(marked.sum()) / max(1, int(known.sum()))
    area = None
    if is_on_earth(grid.crs) and grid.transform is not None:
        with suppress(EarthReasonError):  # a mask of noise has too many outlines to measure
            area = layer_of(answers).summaries[0].area_m2
    return share, area, cv2.connectedComponents(marked.astype(np.uint8), connectivity=4)[0] - 1


def write_answer(path: Path, answers: SceneAnswers) -> None:
    """Write an answer as its suffix says: polygons as GeoJSON (in pixels without a CRS), or the mask as GeoTIFF.

    Raises:
        EarthReasonError: the disk is full, or the mask is noise.
    """
    if path.suffix == ".tif":
        from earthreason.geo.writing_rasters import write_mask

        write_mask(path, answers)
        return
    from earthreason.geo.layers import layer_of
    from earthreason.geo.writing_vectors import write_layer

    layer = layer_of(answers)
    if is_on_earth(layer.crs):
        write_layer(path, layer)
    else:
        write_json(path, layer.__geo_interface__)


def tasks_of(model: TileModel) -> tuple[str, ...]:
    """List the kinds of question that a model can be asked; empty if it does not distinguish them."""
    return TASKS if isinstance(getattr(model, "task", None), str) else ()


def can_write(model: TileModel) -> bool:
    """Return whether a model can also answer in words."""
    return hasattr(model, "answer")


@contextmanager
def asking(model: Any, task: str | None) -> Iterator[None]:
    """Let a model take questions as another kind for a while; None leaves it as it is."""
    if task is None or not tasks_of(model):
        yield
        return
    before = model.task
    model.task = model.model.config.task = task
    try:
        yield
    finally:
        model.task = model.model.config.task = before
