"""What the renderer hands to the question writer: a picture and everything that stands in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CATEGORIES: tuple[str, ...] = (
    "airport apron",
    "airport runway",
    "baseball field",
    "basketball court",
    "beach",
    "bridge",
    "dam",
    "golf course",
    "greenhouse",
    "ground track field",
    "helipad",
    "island",
    "lake",
    "parking lot",
    "pier",
    "quarry",
    "river",
    "roundabout",
    "solar plant",
    "stadium",
    "storage tank",
    "substation",
    "swimming pool",
    "tennis court",
    "train station",
    "wastewater plant",
    "wind turbine",
    "woodland",
)

# As in the real set, some categories are never seen in training.
HELD_OUT_CATEGORIES: frozenset[str] = frozenset({"dam", "golf course", "helipad", "wastewater plant"})


@dataclass(frozen=True)
class SceneObject:
    """One thing in a scene.

    Attributes:
        kind: a name of `CATEGORIES`, or a context kind: "building", "road", "rail", "field", "sea", "car", "boat".
        mask: (height, width) bool, the visible pixels; objects of `CATEGORIES` never overlap each other.
    """

    kind: str
    mask: np.ndarray

    @property
    def area(self) -> int:
        return int(self.mask.sum())

    @property
    def centre(self) -> tuple[float, float]:
        """Mean row and column of the pixels."""
        rows, columns = np.nonzero(self.mask)
        return float(rows.mean()), float(columns.mean())


@dataclass(frozen=True)
class RenderedScene:
    """A rendered scene.

    Attributes:
        image: (height, width, 3) uint8 RGB.
        gsd: metres per pixel.
        setting: the surroundings: "urban", "suburban", "farmland", "coast", "wild", "industrial", "airport".
        objects: everything drawn that a question may be about, in drawing order.
    """

    image: np.ndarray
    gsd: float
    setting: str
    objects: tuple[SceneObject, ...]

    def of_kind(self, kind: str) -> list[SceneObject]:
        return [thing for thing in self.objects if thing.kind == kind]
