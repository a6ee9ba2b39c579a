"""Flag questions that are not in English, the language of the benchmark."""

from __future__ import annotations

from earthreason.questions.checks.base import Check, each_question
from earthreason.questions.language import languages_of, parse

_LEAST_SHARE = 0.25
_FEWEST_WORDS = 4
"""Shorter texts are left to the check of length."""


def _objection(question: str) -> str | None:
    doc = parse(question)
    if sum(token.is_alpha for token in doc) < _FEWEST_WORDS and question.isascii():
        return None
    guesses = languages_of(question)
    share = guesses.get("en", 0.0)
    if share < _LEAST_SHARE:
        return f"not in English: {max(guesses, key=lambda code: guesses[code], default='unknown')} by its letters"
    # An identifier names a language for any letters; what no sentence of four words lacks is a word such as `the`.
    return None if any(token.is_stop for token in doc) else "not in English: no common word"


CHECK = Check(
    "language",
    "A question is in English; rare words are fine.",
    bad=("Wo könnte hier ein Flugzeug im Notfall landen?", "Flurb zanter quist mopple drund vexing?"),
    good=("Where could an aircraft put down in an emergency?", "Where might avocets and bitterns wade at ebb tide?"),
    run=each_question("language", _objection),
)
