"""Colours as three floats from 0 to 1, and the palettes of `palettes.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

Colour = tuple[float, float, float]


def rgb(text: str) -> Colour:
    """Convert a colour such as "7a8f5c" to three floats from 0 to 1."""
    return (int(text[0:2], 16) / 255, int(text[2:4], 16) / 255, int(text[4:6], 16) / 255)


def blend(a: Colour, b: Colour, share: float) -> Colour:
    """Mix two colours; `share` is that of the second."""
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
    crops: tuple[Colour, ...]


def _read_palettes() -> list[Palette]:
    tables = tomllib.loads(Path(__file__).with_name("palettes.toml").read_text(encoding="utf-8"))["palettes"]
    return [Palette(crops=tuple(map(rgb, t.pop("crops"))), **{name: rgb(t[name]) for name in t}) for t in tables]


PALETTES = _read_palettes()
ASPHALT, CONCRETE, WHITE = rgb("5d5d5e"), rgb("aaa79f"), rgb("e8e7e2")
ROOFS = (rgb("8c5543"), rgb("7d7672"), rgb("a3a09a"), rgb("6d5f58"), rgb("b9b4a8"), rgb("95705b"), rgb("56585c"))
CARS = (rgb("d8d8d8"), rgb("2a2b2e"), rgb("8a8d91"), rgb("8d2f2b"), rgb("30507d"), rgb("efefef"), rgb("5c5f63"))
