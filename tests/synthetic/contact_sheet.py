"""Draw a scene of every category and distractor on one sheet.

Run from the root of a checkout: `python -m tests.synthetic.contact_sheet docs/images/synthetic_contact_sheet.jpg`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from earthreason.files import atomic_path
from earthreason.overlay import TRUTH_COLOUR, outline_mask
from earthreason.synthetic.categories import CATEGORIES, DISTRACTORS
from earthreason.synthetic.render import render_scene

_CAPTION = 22


def draw_contact_sheet(out: Path, seed: int = 3, side: int = 256, columns: int = 7) -> Path:
    """Write a JPEG with a scene per category and distractor, targets outlined, name and GSD below; return its path."""
    shown = (*CATEGORIES, *DISTRACTORS)
    rows = -(-len(shown) // columns)
    sheet = Image.new("RGB", (columns * side, rows * (side + _CAPTION)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    for number, category in enumerate(shown):
        scene = render_scene(np.random.default_rng([seed, number]), category, size=(side, side))
        target = np.logical_or.reduce([item.mask for item in scene.of_kind(category)])
        left, top = number % columns * side, number // columns * (side + _CAPTION)
        sheet.paste(outline_mask(Image.fromarray(scene.image), target, TRUTH_COLOUR), (left, top))
        draw.text((left + 4, top + side + 2), f"{category}, {scene.gsd:g} m per pixel", fill="black", font=font)
    with atomic_path(out) as temporary:
        sheet.save(temporary, "JPEG", quality=86)
    return out


if __name__ == "__main__":
    print(draw_contact_sheet(Path(sys.argv[1])))  # noqa: T201
