"""Read the wording of questions and answers from the TOML files in `wording/`.

`wording/phrases/` has one file per category. A clause completes "a place ..." without naming the category. Training
and evaluation share no clause, so that a model is tested on wordings it has not seen.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path

from pydantic import TypeAdapter

_FOLDER = Path(__file__).with_name("wording")


@dataclass(frozen=True)
class Phrases:
    """Wording for one category.

    Attributes:
        singular: name of the category, for answers only.
        plural: its plural, for answers only.
        looks: appearance from above, for answers only.
        forbidden: beginnings of words that would reveal the category in a question.
        evaluation: clauses for validation and test, by register, such as "neutral".
        train: clauses for training, by register; empty for categories that training never asks about.
    """

    singular: str
    plural: str
    looks: str
    forbidden: tuple[str, ...]
    evaluation: dict[str, tuple[str, ...]]
    train: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def clauses(self, split: str) -> tuple[str, ...]:
        """Return the clauses of every register for "train" or "evaluation"."""
        registers = self.train if split == "train" else self.evaluation
        return tuple(chain.from_iterable(registers.values()))


@dataclass(frozen=True)
class Templates:
    """Sentences with slots in braces.

    Attributes:
        questions: question templates by kind of question, then by "train" or "evaluation".
        answers: answer templates by kind of answer.
    """

    questions: dict[str, dict[str, tuple[str, ...]]]
    answers: dict[str, tuple[str, ...]]


@cache
def load_phrases(category: str) -> Phrases:
    """Read the wording of a category; each file is read once per process."""
    path = _FOLDER / "phrases" / f"{category.replace(' ', '_')}.toml"
    return TypeAdapter(Phrases).validate_python(tomllib.loads(path.read_text(encoding="utf-8")))


@cache
def load_templates() -> Templates:
    """Read the sentence templates; the file is read once per process."""
    text = (_FOLDER / "templates.toml").read_text(encoding="utf-8")
    return TypeAdapter(Templates).validate_python(tomllib.loads(text))
