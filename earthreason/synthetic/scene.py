"""The rendered scene, which the question writer receives: an image and every object in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SceneObject:
    """An object in a scene.

    Attributes:
        kind: category, distractor, or context such as "building", "road" or "sea".
        mask: (height, width) bool, its visible pixels; objects never overlap.
    """

    kind: str
    mask: np.ndarray

    @property
    def area(self) -> int:
        return int(self.mask.sum())

    @property
    def centre(self) -> tuple[float, float]:
        """Mean row and column of its pixels."""
        rows, columns = np.nonzero(self.mask)
        return float(rows.mean()), float(columns.mean())


class SceneContent(ABC):
    """What questions are chosen from: the objects of a scene, drawn or drafted."""

    objects: tuple[SceneObject, ...]

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Height and width of the image in pixels."""

    def of_kind(self, kind: str) -> list[SceneObject]:
        return [item for item in self.objects if item.kind == kind]


@dataclass(frozen=True)
class RenderedScene(SceneContent):
    """A rendered scene.

    Attributes:
        image: (height, width, 3) uint8 RGB.
        gsd: metres per pixel.
        setting: surroundings: "urban", "suburban", "farmland", "coast", "wild", "industrial" or "airport".
        objects: everything that a question may be about, in drawing order.
    """

    image: np.ndarray
    gsd: float
    setting: str
    objects: tuple[SceneObject, ...]

    @property
    def shape(self) -> tuple[int, int]:
        height, width = self.image.shape[:2]
        return height, width
