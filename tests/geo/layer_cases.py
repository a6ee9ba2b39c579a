"""Answers made by hand, and GDAL's own programs that judge what is written of them."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pyproj import CRS

from earthreason.geo.answers import ArrayRaster, SceneAnswer, SceneAnswers
from earthreason.geo.grid import GeoGrid, Transform

UTM = CRS("EPSG:32633").to_wkt()
NORTH_UP: Transform = (10, 0, 500_000, 0, -10, 5_000_000)
FACTS = {"scene": "scene_1.tif", "model": "tiny", "checkpoint": "c/1", "time": "2026-01-02T03:04:05Z", "version": "1"}


def grid_of(mask: np.ndarray, transform: Transform | None = NORTH_UP, crs: str | None = UTM) -> GeoGrid:
    return GeoGrid(mask.shape[0], mask.shape[1], transform, crs)


def answers_of(
    *masks: np.ndarray,
    transform: Transform | None = NORTH_UP,
    crs: str | None = UTM,
    probabilities: np.ndarray | None = None,
    questions: tuple[str, ...] = ("Where are roofs?", "Où est l'eau ?", "third"),
    text: str | None = None,
) -> SceneAnswers:
    """Answers whose masks are given; an empty mask is "no target"."""
    grid = grid_of(masks[0], transform, crs)
    answers = []
    for question, mask in zip(questions, masks, strict=False):
        given = np.where(mask, 0.75, 0.25) if probabilities is None else probabilities
        raster = ArrayRaster(grid, mask.astype(bool), given.astype(np.float32))
        found = bool(mask.any())
        answers.append(SceneAnswer(question, 0.1 if found else 0.9, found, raster, text if found else None))
    return SceneAnswers(grid, tuple(answers), dict(FACTS))


def picture(*rows: str) -> np.ndarray:
    """A mask drawn with # and dots."""
    return np.array([[letter == "#" for letter in row] for row in rows])


RINGS = picture(
    "#######..",
    "#.....#..",
    "#.###.#..",
    "#.#.#.#..",
    "#.###.#..",
    "#.....#..",
    "#######..",
    ".......##",
    ".......#.",
)
"""A ring with a ring in its hole, and a third region that touches the first at a corner."""


def run_gdal(program: str, *arguments: str | Path) -> str:
    """Run a program of GDAL; it must not warn. Return what it prints."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} (Debian: gdal-bin) is not here")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def ogr_features(path: Path, layer: str | None = None) -> list[dict]:
    """Features that GDAL's ogr2ogr reads, as in GeoJSON with coordinates in the CRS of the file."""
    given = [] if layer is None else [layer]
    text = run_gdal("ogr2ogr", "-f", "GeoJSON", "-lco", "COORDINATE_PRECISION=15", "/vsistdout/", path, *given)
    return json.loads(text)["features"]
