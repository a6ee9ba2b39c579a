"""Read the category maps of training samples, which `earthreason synth --category-maps` writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from earthreason.data.layout import split_named
from earthreason.errors import EarthReasonError
from earthreason.masks.grids import Grid
from earthreason.synthetic.maps import FOLDER
from earthreason.torch import Item

from ..common.losses import UNMAPPED
from .config import DataConfig

_STRIDE = 4


class TrainItem(Item):
    """An item with its category map (side, side) uint8 on the letterboxed canvas, if maps are used."""

    categories: NotRequired[Tensor]


def on_features(categories: Tensor) -> Tensor:
    """Reduce a map (S, S) to the size of the mask features (S/4, S/4), by the pixel next to the centre of each cell."""
    return categories[_STRIDE // 2 :: _STRIDE, _STRIDE // 2 :: _STRIDE]


@dataclass(frozen=True)
class CategoryMaps:
    """The maps of a training split.

    Attributes:
        folders: folders of the maps, one per split that training uses.
        names: name of each value of a map; the first is that of no category.
    """

    folders: tuple[Path, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, config: DataConfig) -> CategoryMaps:
        """Find the maps of the training split.

        Raises:
            EarthReasonError: there are none, or their list of categories is damaged or differs between splits.
        """
        hint = "write them with `earthreason synth --category-maps`, or set data.category_maps=false"
        if config.data_dir is None:
            raise EarthReasonError(f"data.category_maps needs data.data_dir, a folder with category maps; {hint}")
        splits = {split_named(part.partition("[")[0]) for part in config.train.split("+")}
        above = sorted(path for path in Path(config.data_dir).glob("*") if split_named(path.name) in splits)
        folders = tuple(path / FOLDER for path in above if (path / FOLDER / f"{FOLDER}.json").is_file())
        if not folders:
            raise EarthReasonError(
                f"data.category_maps: {config.data_dir} has no {FOLDER}/{FOLDER}.json in the folder of the split "
                f"{config.train!r}; {hint}"
            )
        lists = {_read_names(folder / f"{FOLDER}.json") for folder in folders}
        if len(lists) > 1:
            raise EarthReasonError(f"data.category_maps: the lists of categories in {config.data_dir} differ; {hint}")
        return cls(folders, lists.pop())

    def read(self, sample_id: str, shape: tuple[int, int], side: int) -> Tensor:
        """Read the map of a sample onto the canvas; one without a file is `UNMAPPED` everywhere.

        Args:
            sample_id: id of the sample, which names the file.
            shape: height and width of its image in pixels.
            side: side of the canvas in pixels.

        Returns:
            (side, side) uint8; padding has no category.

        Raises:
            EarthReasonError: the map cannot be read, has another size, or a value without a name.
        """
        for folder in self.folders:
            path = folder / f"{sample_id}.png"
            if path.is_file():
                return torch.from_numpy(place_map(self._open(path, shape), side))
        return torch.full((side, side), UNMAPPED, dtype=torch.uint8)

    def _open(self, path: Path, shape: tuple[int, int]) -> np.ndarray:
        try:
            with Image.open(path) as picture:
                values = np.asarray(picture)
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            raise EarthReasonError(f"{path}: not a readable category map: {error}") from None
        if values.dtype != np.uint8 or values.shape != shape:
            raise EarthReasonError(
                f"{path}: a category map has 8 bits a pixel and the image's {shape[0]}x{shape[1]} pixels (height x "
                f"width), not {values.dtype} {'x'.join(map(str, values.shape))}"
            )
        if values.max(initial=0) >= len(self.names):
            raise EarthReasonError(f"{path}: has the value {values.max()}, but there are {len(self.names)} categories")
        return values


def place_map(values: np.ndarray, side: int) -> np.ndarray:
    """Place a map (height, width) uint8 on the letterboxed canvas (side, side), pixel by pixel as masks are."""
    grid = Grid("letterbox", side)
    rows, columns = grid.source_indices(*values.shape)
    top, left = grid.padding(*values.shape)
    placed = np.zeros((side, side), np.uint8)
    placed[top : top + len(rows), left : left + len(columns)] = values[rows][:, columns]
    return placed


def _read_names(path: Path) -> tuple[str, ...]:
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EarthReasonError(f"{path}: not JSON: {error}") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise EarthReasonError(f"{path}: expected a list of names")
    if not 0 < len(names) <= UNMAPPED:
        raise EarthReasonError(f"{path}: expected 1 to {UNMAPPED} names, but there are {len(names)}")
    return tuple(names)
