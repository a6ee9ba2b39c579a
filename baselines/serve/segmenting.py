"""What the server uses of the geo package: answers about a scene, their measures and their files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from baselines.serve.rendering import PREVIEW_SIDE, fit
from earthreason.geo.answers import SceneAnswers
from earthreason.geo.grid import GeoGrid, Window
from earthreason.geo.model import TileModel
from earthreason.geo.scene import Scene

TASKS = ("reasoning", "referring")


@contextmanager
def answer_scene(
    model: TileModel, scene: Scene, questions: Sequence[str], area: str | None
) -> Iterator[tuple[SceneAnswers, np.ndarray]]:
    """Answer questions about a scene, or an area of it.

    Args:
        model: model to ask.
        scene: opened scene.
        questions: questions, all different.
        area: "west,south,east,north" in degrees; None for the whole scene.

    Yields:
        The answers, and the picture of the answered area, (height, width, 3) uint8, at most 2,048 px a side.

    Raises:
        EarthReasonError: the area lies outside, the file is damaged, or a question is unusable.
    """
    from earthreason.geo.predictor import GeoPredictor

    with GeoPredictor(model).answer(scene, list(questions), area) as answers:
        window = scene.grid.whole if area is None else area_window(area, scene.grid)
        height, width = fit(answers.grid.height, answers.grid.width, PREVIEW_SIDE)
        yield answers, scene.read(window, height, width).pixels


def area_window(area: str, grid: GeoGrid) -> Window:
    """Return the window of an area, "west,south,east,north" in degrees.

    Raises:
        EarthReasonError: the text is not four numbers, the grid has no CRS, or the area lies outside.
    """
    from earthreason.geo.area import parse_area

    return parse_area(area, grid, "EPSG:4326").window


def ground_size(grid: GeoGrid) -> float | None:
    """Return metres per pixel in the middle of a grid; None without a CRS."""
    if grid.crs is None or grid.transform is None:
        return None
    from earthreason.geo.resolution import ground_resolution

    return ground_resolution(grid)


def measure_answer(answers: SceneAnswers) -> tuple[float, float | None, int]:
    """Measure a single answer: share of the pixels with data, area in m2 (None without a CRS), and regions."""
    grid, raster = answers.grid, answers.answers[0].raster
    marked, known = raster.mask(grid.whole), np.isfinite(raster.probability(grid.whole))
    share = float(marked.sum()) / max(1, int(known.sum()))
    if grid.crs is None or grid.transform is None:
        return share, None, cv2.connectedComponents(marked.astype(np.uint8), connectivity=4)[0] - 1
    from earthreason.geo.layers import layer_of

    regions = layer_of(answers).regions
    return share, float(sum(region.area_m2 or 0.0 for region in regions)), len(regions)


def write_answer(path: Path, answers: SceneAnswers) -> None:
    """Write an answer as its suffix says: polygons as GeoJSON, or the mask as GeoTIFF.

    Raises:
        EarthReasonError: the disk is full.
    """
    if path.suffix == ".tif":
        from earthreason.geo.writing_rasters import write_mask

        write_mask(path, answers)
        return
    from earthreason.geo.layers import layer_of, write_layer

    write_layer(path, layer_of(answers))


def tasks_of(model: TileModel) -> tuple[str, ...]:
    """List the kinds of question that a model can be asked; empty if it does not distinguish them."""
    return TASKS if isinstance(getattr(model, "task", None), str) else ()


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
