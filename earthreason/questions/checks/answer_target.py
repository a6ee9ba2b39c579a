"""Flag answers that do not state what the target is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from earthreason.questions.checks.base import REQUESTS, Check, CheckFinding, QuestionSet, is_order, words_of
from earthreason.questions.language import is_foreign, noun_lemmas, parse
from earthreason.questions.names import describes, names_of

_FEWEST_WORDS = 4
_STATING = re.compile(r"\b(?:this|these|that|those|it|they) (?:is|are)\b|\b(?:it|that)['’]s\b")
"""What states something after an order: look for the long deck, this is the pier."""
_LEAST_ALIKE = 0.21
"""Similarity to the category's definition from which an answer describes it: `the span over the river`."""


def _run(asked: QuestionSet) -> Iterator[CheckFinding]:
    for answer in asked.answers:
        reason = _objection(answer, asked)
        if reason:
            yield CheckFinding(CHECK.name, asked.sample_id, answer, reason)


def _objection(answer: str, asked: QuestionSet) -> str | None:
    words = words_of(answer)
    if len(words) < _FEWEST_WORDS:
        return "too short to explain anything"
    if answer.rstrip().endswith("?"):
        return "asks instead of answering"
    orders = words[0] in REQUESTS or (is_order(parse(answer)[0]) and not is_foreign(answer))
    if orders and not _STATING.search(answer.lower()):
        return f"gives an order instead of answering: {words[0]!r}"
    if asked.names and not asked.is_empty and not any(_mentions(answer, name) for name in asked.names):
        return f"does not mention the {' or '.join(asked.names)}"
    return None


def _mentions(answer: str, name: str) -> bool:
    names, doc = names_of(name), parse(answer)
    if names.find(doc) or any(noun_lemmas(token) & names.heads for token in doc):
        return True
    return describes(answer, name) >= _LEAST_ALIKE


CHECK = Check(
    "answer target",
    "An answer is a statement of at least four words that names or describes the target, if it is known.",
    bad=("It is a nice place to be in summer. (about a pier)", "Mark the pier where boats tie up."),
    good=(
        "It is the jetty, because boats tie up along it. (about a pier)",
        "The walkway that reaches out over the water. (about a pier)",
    ),
    run=_run,
)
