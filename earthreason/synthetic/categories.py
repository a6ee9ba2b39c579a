"""What a scene can show: the categories of questions and the distractors, read from `categories.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter


@dataclass(frozen=True)
class Footprint:
    """The outline of an object.

    Attributes:
        shape: "box", "ellipse", "oval" (a running track) or "blob" (irregular).
        scale: width as a share of the spot's diameter.
        aspect: smallest and largest ratio of height to width; for a blob, of length to breadth.
        roughness: irregularity of a blob.
        points: number of corners of an ellipse.
    """

    shape: Literal["box", "ellipse", "oval", "blob"]
    scale: float = 1.0
    aspect: tuple[float, float] = (1.0, 1.0)
    roughness: float = 0.0
    points: int = 40


@dataclass(frozen=True)
class Feature:
    """How to place a category or a distractor.

    Attributes:
        category: its name.
        metres: shortest and longest extent on the ground.
        share: smallest and largest extent as a share of the image's shorter side, in a scene about the category.
        settings: surroundings in which it occurs, the most usual first.
        painter: module and function that draw it, such as "sport.stadium"; "" if it is drawn with the water.
        footprint: outline; None if the painter computes its own.
        cover: area of its mask as a share of the square of its extent, or if `across`, of the image's shorter side.
        across: whether it runs from edge to edge of the image, so that its area depends little on its extent.
        repeat: largest number of objects in a scene.
        water: water that it needs: "" for none, "river", "dam", "sea", "beach" or "open sea".
        own_roads: whether the painter draws roads up to the edges of the image.
        brings: categories that are drawn together with it; a scene that must not have them cannot have it either.
        resembles: what could be mistaken for it; many scenes show this beside it or in its place.
        distractor: whether it is drawn, but never the target of a question.
        held_out: whether training leaves it out; the real dataset, too, has categories that occur only in its test set.
    """

    category: str
    metres: tuple[float, float]
    share: tuple[float, float]
    settings: tuple[str, ...]
    painter: str = ""
    footprint: Footprint | None = None
    cover: float = 0.4
    across: bool = False
    repeat: int = 1
    water: str = ""
    own_roads: bool = False
    brings: tuple[str, ...] = ()
    resembles: tuple[str, ...] = ()
    distractor: bool = False
    held_out: bool = False


_TABLE = tomllib.loads(Path(__file__).with_name("categories.toml").read_text(encoding="utf-8"))
FEATURES: dict[str, Feature] = TypeAdapter(dict[str, Feature]).validate_python(
    {category: {"category": category, **entry} for category, entry in _TABLE.items()}
)
CATEGORIES: tuple[str, ...] = tuple(sorted(name for name, feature in FEATURES.items() if not feature.distractor))
"""The 28 categories that questions ask for."""
DISTRACTORS: tuple[str, ...] = tuple(sorted(set(FEATURES) - set(CATEGORIES)))
"""What is drawn beside the categories; no question asks for it."""
HELD_OUT_CATEGORIES: frozenset[str] = frozenset(name for name, feature in FEATURES.items() if feature.held_out)
"""The four categories that training lacks."""
