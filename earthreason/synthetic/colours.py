"""Colours as three floats from 0 to 1, and the colour tables of `colours.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Colour = tuple[float, float, float]


def rgb(text: str) -> Colour:
    """Convert a colour such as "7a8f5c" to three floats from 0 to 1."""
    return (int(text[0:2], 16) / 255, int(text[2:4], 16) / 255, int(text[4:6], 16) / 255)


def blend(a: Colour, b: Colour, share: float) -> Colour:
    """Mix two colours; `share`, from 0 to 1, weights the second."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


@dataclass(frozen=True)
class Palette:
    """The colours of a climate."""

    grass: Colour
    dry: Colour
    soil: Colour
    tree: Colour
    water: Colour
    deep: Colour
    crops: list[Colour]


def _convert(value: Any) -> Any:
    """Convert every colour in nested tables and lists."""
    if isinstance(value, dict):
        return {name: _convert(part) for name, part in value.items()}
    return [_convert(part) for part in value] if isinstance(value, list) else rgb(value)


_TABLE = _convert(tomllib.loads(Path(__file__).with_name("colours.toml").read_text(encoding="utf-8")))
PALETTES = [Palette(**palette) for palette in _TABLE["palettes"]]
ROOFS: list[Colour] = _TABLE["roofs"]
CARS: list[Colour] = _TABLE["cars"]
COURTS: dict[str, list[list[Colour]]] = _TABLE["courts"]
ASPHALT, CONCRETE, WHITE = rgb("5d5d5e"), rgb("aaa79f"), rgb("e8e7e2")
