"""Flag texts that are not in the language that was asked for, which is English by default."""

from __future__ import annotations

from collections.abc import Iterator

from earthreason.plurals import count_of
from earthreason.questions.checks.base import Check, CheckFinding, QuestionSet
from earthreason.questions.language import is_foreign, languages_of, lemmas_of_word, parse

_FEWEST_WORDS = 4
"""Shorter texts are left to the check of length."""
_LEAST_KNOWN, _SHORTEST = 0.5, 4
"""Share of words that a dictionary has, and the length in letters of the words that count."""


def _run(asked: QuestionSet) -> Iterator[CheckFinding]:
    for text in (*asked.questions, *asked.answers):
        reason = _objection_to_english(text) if asked.language == "en" else _objection_to_letters(text, asked.language)
        if reason:
            yield CheckFinding(CHECK.name, asked.sample_id, text, reason)


def _objection_to_english(text: str) -> str | None:
    doc = parse(text)
    if sum(token.is_alpha for token in doc) < _FEWEST_WORDS and text.isascii():
        return None
    reason = _objection_to_letters(text, "en")
    if reason:
        return reason
    # An identifier names a language for any letters; what no sentence of four words lacks is a word such as `the`.
    if not any(token.is_stop for token in doc):
        return "not in English: no common word"
    words = [token for token in doc if token.is_alpha and token.text.islower() and not token.is_stop]
    words = [token for token in words if len(token) >= _SHORTEST]
    known = sum(bool(lemmas_of_word(token.lower_) or lemmas_of_word(token.lemma_.lower())) for token in words)
    if len(words) >= _FEWEST_WORDS and known < _LEAST_KNOWN * len(words):
        return f"not in English: {len(words) - known} of {count_of(len(words), 'word')} in no dictionary"
    return None


def _objection_to_letters(text: str, language: str) -> str | None:
    if not is_foreign(text, language):
        return None
    guesses = languages_of(text)
    likeliest = max(guesses, key=lambda code: guesses[code], default="unknown")
    return f"not in {'English' if language == 'en' else language}: {likeliest} by its letters"


CHECK = Check(
    "language",
    "A question or answer is in the language of the set, which is English by default; rare words are fine.",
    bad=("Wo könnte hier ein Flugzeug im Notfall landen?", "Flurb zanter quist mopple drund vexing?"),
    good=("Where could an aircraft put down in an emergency?", "Where might avocets and bitterns wade at ebb tide?"),
    run=_run,
    any_language=True,
)
