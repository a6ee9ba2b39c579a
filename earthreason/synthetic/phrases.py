"""What each category is used for, in words that do not name it.

A clause completes "a place ...". Training and evaluation share none, so that a model is tested on wordings it has not
seen. `looks` is for answers, which may name the category.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter


@dataclass(frozen=True)
class Phrases:
    """Wording for one category.

    Attributes:
        singular: name of the category, for answers only.
        plural: its plural, for answers only.
        looks: appearance from above.
        train: clauses for training; empty for categories that training never asks about.
        evaluation: clauses for validation and test.
        forbidden: beginnings of words that would give the category away in a question.
    """

    singular: str
    plural: str
    looks: str
    train: tuple[str, ...]
    evaluation: tuple[str, ...]
    forbidden: tuple[str, ...]


PHRASES = TypeAdapter(dict[str, Phrases]).validate_json(Path(__file__).with_name("phrases.json").read_bytes())
