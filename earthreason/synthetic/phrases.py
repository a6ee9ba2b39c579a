"""Read the wording of questions and answers from the TOML files in `wording/`.

`wording/phrases/` has one file per category and `wording/templates/` one per split. Each split has its own texts:
no four consecutive words of a validation or test question occur in training, so that a model meets unseen wordings.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

_FOLDER = Path(__file__).with_name("wording")
_STORY = "story"


@dataclass(frozen=True)
class Phrases:
    """Wording for one category.

    Attributes:
        singular: name of the category, for answers only.
        plural: its plural, for answers only.
        looks: appearance from above, for answers only.
        forbidden: beginnings of words that would reveal the category in a question.
        train: texts for training by register, such as "function" or "hazard"; those of "story" are whole sentences,
            all others are relative clauses.
        val: the same for validation.
        test: the same for test.
    """

    singular: str
    plural: str
    looks: str
    forbidden: tuple[str, ...]
    train: dict[str, tuple[str, ...]]
    val: dict[str, tuple[str, ...]]
    test: dict[str, tuple[str, ...]]

    def clauses(self, split: str) -> tuple[str, ...]:
        """Return the relative clauses of all registers for `train`, `val` or `test`."""
        return tuple(text for name, texts in self._registers(split).items() if name != _STORY for text in texts)

    def stories(self, split: str) -> tuple[str, ...]:
        """Return the stories for `train`, `val` or `test`."""
        return self._registers(split).get(_STORY, ())

    def _registers(self, split: str) -> dict[str, tuple[str, ...]]:
        return {"train": self.train, "val": self.val, "test": self.test}[split]


@dataclass(frozen=True)
class Templates:
    """Sentences of one split, with slots in braces.

    Attributes:
        heads: neutral nouns for a location, which a clause completes.
        openers: introductory phrases.
        landmarks: descriptions of "water" and "trees".
        frames: questions with a clause, by wording; one that begins with a small letter may follow an opener.
        requests: questions that follow a story, by wording.
        answers: answers by kind.
    """

    heads: tuple[str, ...]
    openers: tuple[str, ...]
    landmarks: dict[str, tuple[str, ...]]
    frames: dict[str, tuple[str, ...]]
    requests: dict[str, tuple[str, ...]]
    answers: dict[str, tuple[str, ...]]


@cache
def load_phrases(category: str) -> Phrases:
    """Read the wording of a category; each file is read once per process."""
    path = _FOLDER / "phrases" / f"{category.replace(' ', '_')}.toml"
    return TypeAdapter(Phrases).validate_python(tomllib.loads(path.read_text(encoding="utf-8")))


@cache
def load_templates(split: str) -> Templates:
    """Read the sentences of `train`, `val` or `test`; each file is read once per process."""
    text = (_FOLDER / "templates" / f"{split}.toml").read_text(encoding="utf-8")
    return TypeAdapter(Templates).validate_python(tomllib.loads(text))
