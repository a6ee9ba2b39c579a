"""The features a scene can have: an entry and a painter for each category."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from earthreason.synthetic.canvas import Canvas, Spot
from earthreason.synthetic.terrain import Palette

Painter = Callable[[Canvas, Palette, Spot], None]


@dataclass(frozen=True)
class Feature:
    """How to place a category.

    Attributes:
        category: name of the category.
        metres: shortest and longest extent on the ground.
        share: least and greatest extent as a share of the image's shorter side, if the scene is about the category.
        settings: surroundings that it occurs in, the most usual first.
        painter: function that draws it at a spot whose radius is half its extent; None if it is drawn with the water.
        repeat: largest number in a scene.
        water: water that it needs: "" for none, "river", "dam", "sea", "beach" or "open sea".
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
    """Register the painter."""

    def register(painter: Painter | None) -> Painter | None:
        FEATURES[category] = Feature(category, metres, share, settings, painter, repeat, water)
        return painter

    return register
