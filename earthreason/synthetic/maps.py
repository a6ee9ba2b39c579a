"""Category maps of synthetic scenes: for each pixel, which kind of object it shows.

The training option `data.category_maps` of the reference models learns from them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from earthreason.files import write_json
from earthreason.synthetic.categories import FEATURES
from earthreason.synthetic.scene import RenderedScene

FOLDER = "categories"
"""Folder of a split's maps, and name of the list of kinds in it."""
_SURROUNDINGS = ("building", "river", "road", "sea")
MAP_KINDS: tuple[str, ...] = ("none", *sorted({*FEATURES, *_SURROUNDINGS}))
"""Kind of each value of a map: categories, distractors and surroundings, after "none" for everything else."""


def category_map(scene: RenderedScene) -> np.ndarray:
    """Return the index in `MAP_KINDS` of each pixel of a scene, (height, width) uint8; other kinds are 0."""
    values = np.zeros(scene.image.shape[:2], np.uint8)
    for item in scene.objects:
        if item.kind in MAP_KINDS:
            values[item.mask] = MAP_KINDS.index(item.kind)
    return values


def start_maps(split: Path) -> None:
    """Make the folder of a split's maps and write the list of kinds into it."""
    (split / FOLDER).mkdir()
    write_json(split / FOLDER / f"{FOLDER}.json", list(MAP_KINDS))


def write_map(split: Path, stem: str, scene: RenderedScene) -> None:
    """Write the map of a scene as an 8-bit PNG."""
    Image.fromarray(category_map(scene)).save(split / FOLDER / f"{stem}.png")
