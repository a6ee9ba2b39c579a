"""Flag answers that do not mention the target."""

from __future__ import annotations

from collections.abc import Iterator

from earthreason.questions.checks.base import Check, CheckFinding, QuestionSet, words_of
from earthreason.questions.language import noun_lemmas, parse
from earthreason.questions.names import describes, names_of

_FEWEST_WORDS = 4
_LEAST_ALIKE = 0.21
"""Similarity to the category's definition from which an answer describes it: `the span over the river`."""


def _run(asked: QuestionSet) -> Iterator[CheckFinding]:
    for answer in asked.answers:
        if len(words_of(answer)) < _FEWEST_WORDS:
            yield CheckFinding(CHECK.name, asked.sample_id, answer, "too short to explain anything")
        elif asked.category and not asked.is_empty and not _mentions(answer, asked.category):
            yield CheckFinding(CHECK.name, asked.sample_id, answer, f"does not mention the {asked.category}")


def _mentions(answer: str, category: str) -> bool:
    names, doc = names_of(category), parse(answer)
    if names.find(doc) or any(noun_lemmas(token) & names.heads for token in doc):
        return True
    return describes(answer, category) >= _LEAST_ALIKE


CHECK = Check(
    "answer target",
    "An answer has at least four words and names or describes the target, if its category is known.",
    bad=("It is a nice place to be in summer. (about a pier)",),
    good=(
        "It is the jetty, because boats tie up along it. (about a pier)",
        "The walkway that reaches out over the water. (about a pier)",
    ),
    run=_run,
)
