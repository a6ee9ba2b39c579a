"""What each category is for, in words that do not name it.

A clause completes "the place ..." and "the places ...". Training and evaluation never share one, so that a model is
tested on wordings it has not seen. `looks` is for answers, which may name things.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter


@dataclass(frozen=True)
class Phrases:
    """Wording for one category.

    Attributes:
        singular, plural: its name, for answers only.
        looks: what it looks like from above.
        train, evaluation: clauses; `train` is empty for categories that training never asks about.
        forbidden: words that would give it away in a question, as word beginnings.
    """

    singular: str
    plural: str
    looks: str
    train: tuple[str, ...]
    evaluation: tuple[str, ...]
    forbidden: tuple[str, ...]


PHRASES = TypeAdapter(dict[str, Phrases]).validate_json(Path(__file__).with_name("phrases.json").read_bytes())
