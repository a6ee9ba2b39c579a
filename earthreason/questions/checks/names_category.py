"""Flag questions that name the target's category, because they are not implicit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from earthreason.questions.checks.base import Check, CheckFinding, QuestionSet

SYNONYMS: dict[str, list[str]] = json.loads((Path(__file__).parent / "synonyms.json").read_text(encoding="utf-8"))
"""Other names of categories of overhead images."""
_GENERIC = frozenset(
    ("field", "plant", "lot", "course", "ground", "station", "court", "area", "place", "site", "land", "building")
)
"""Words of category names that do not identify a category alone."""


@lru_cache(maxsize=1024)
def pattern_of(category: str) -> re.Pattern[str]:
    """Match a category or a synonym, singular or plural, with a space, a hyphen or nothing between its words."""
    name = category.lower().replace("_", " ").replace("-", " ").strip()
    names = [name, *SYNONYMS.get(name, ())]
    words = name.split()
    if len(words) > 1:
        names += [word for word in words if word not in _GENERIC and len(word) > 3 and name not in SYNONYMS]
    forms = {_inflected(other.replace("-", " ")) for other in names if other}
    return re.compile(rf"(?<![a-z])(?:{'|'.join(sorted(forms, key=len, reverse=True))})(?![a-z])")


def _inflected(name: str) -> str:
    *first, last = name.split()
    if last.endswith(("s", "x", "ch", "sh")):
        plural = f"{re.escape(last)}(?:es)?"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        plural = f"{re.escape(last[:-1])}(?:y|ies)"
    else:
        plural = f"{re.escape(last)}s?"
    return r"[\s-]?".join([*map(re.escape, first), plural])


def _run(asked: QuestionSet) -> Iterator[CheckFinding]:
    if not asked.category:
        return
    pattern = pattern_of(asked.category)
    for question in asked.questions:
        match = pattern.search(question.lower())
        if match:
            yield CheckFinding(CHECK.name, asked.sample_id, question, f"names the {asked.category}: {match[0]!r}")


CHECK = Check(
    "names category",
    "A question never names the category, a synonym or an inflection of it.",
    bad=("Where is the runway on which planes land?",),
    good=("Where could an aircraft put down in an emergency?",),
    run=_run,
)
