"""Pictures to try a model on: synthetic scenes with questions about them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property

from PIL import Image

from earthreason.synthetic.generate import compose_scene

_SIZE = (512, 512)
_SHOWN_QUESTIONS = 3
_QUALITY = 92
_CHOSEN = {
    "solar": ("solar power plant", 25, "Solar power plant"),
    "stadium": ("stadium", 27, "Stadium"),
    "runway": ("airport runway", 29, "Runway"),
    "bridge": ("bridge", 24, "Bridge"),
    "roundabout": ("roundabout", 27, "Roundabout"),
}
"""Name, category, seed and title; the shipped checkpoint marks these well, so that a first look is not by chance."""
_WITHOUT = ("baseball", "baseball field", 29, "Nothing to find")
"""Name, category, seed and title of the sample whose questions have no target."""


@dataclass(frozen=True)
class Sample:
    """A picture with questions.

    Attributes:
        name: name in addresses.
        title: title for people.
        content: JPEG.
        height: rows.
        width: columns.
        questions: questions about it.
    """

    name: str
    title: str
    content: bytes
    height: int
    width: int
    questions: tuple[str, ...]


class Samples:
    """The samples by name, drawn when they are first asked for."""

    @cached_property
    def by_name(self) -> dict[str, Sample]:
        """All samples; the last has no target."""
        drawn = {name: _draw(name, title, category, seed, 0.0) for name, (category, seed, title) in _CHOSEN.items()}
        name, category, seed, title = _WITHOUT
        return {**drawn, name: _draw(name, title, category, seed, 1.0)}


def _draw(name: str, title: str, category: str, seed: int, empty_share: float) -> Sample:
    made = compose_scene(
        seed,
        "val",
        0,
        size=_SIZE,
        empty_share=empty_share,
        wording="train",
        categories=[category],
        reasoning_type="function",
    )
    file = io.BytesIO()
    Image.fromarray(made.scene.image).save(file, "JPEG", quality=_QUALITY)
    height, width = made.scene.shape
    return Sample(
        name, title, file.getvalue(), height, width, tuple(sorted(made.questions, key=len)[:_SHOWN_QUESTIONS])
    )
