"""Pictures to try a model on: synthetic scenes with questions about them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property

from PIL import Image

from earthreason.synthetic.generate import compose_scene

_SEED = 24
_SIZE = (512, 512)
_SHOWN_QUESTIONS = 3
_QUALITY = 92
_CHOSEN = {
    "harbour": ("pier", "Piers"),
    "tanks": ("storage tank", "Storage tanks"),
    "solar": ("solar power plant", "Solar power plant"),
    "stadium": ("stadium", "Stadium"),
    "bridge": ("bridge", "Bridge"),
}
_WITHOUT = ("wind", "wind turbine", "Nothing to find")
"""Name, category and title of the sample whose questions have no target."""


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
        drawn = {name: _draw(name, title, category, 0.0) for name, (category, title) in _CHOSEN.items()}
        name, category, title = _WITHOUT
        return {**drawn, name: _draw(name, title, category, 1.0)}


def _draw(name: str, title: str, category: str, empty_share: float) -> Sample:
    made = compose_scene(
        _SEED,
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
