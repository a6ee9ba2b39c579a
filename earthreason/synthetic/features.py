"""The table of what can stand in a scene: one entry and one painter per category."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from earthreason.synthetic.canvas import Canvas, Spot
from earthreason.synthetic.terrain import Palette

Painter = Callable[[Canvas, Palette, Spot], None]


@dataclass(frozen=True)
class Feature:
    """How one category is placed.

    Attributes:
        category: its name.
        metres: shortest and longest extent in the world.
        share: extent as a share of the picture's shorter side, where it is what the scene is about.
        settings: surroundings it is found in, the most usual first.
        painter: draws it at a spot whose radius is half its extent; None for what is laid with the water.
        repeat: how many may stand in one scene.
        water: what has to be there first: "", "river", "dam", or some share of "sea", "beach", "open sea".
    """

    category: str
    metres: tuple[float, float]
    share: tuple[float, float]
    settings: tuple[str, ...]
    painter: Painter | None
    repeat: int = 1
    water: str = ""


FEATURES: dict[str, Feature] = {}


def feature(
    category: str,
    metres: tuple[float, float],
    share: tuple[float, float],
    settings: tuple[str, ...],
    repeat: int = 1,
    water: str = "",
) -> Callable[[Painter | None], Painter | None]:
    """Register a painter."""

    def register(painter: Painter | None) -> Painter | None:
        FEATURES[category] = Feature(category, metres, share, settings, painter, repeat, water)
        return painter

    return register
