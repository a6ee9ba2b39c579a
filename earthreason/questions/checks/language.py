"""Flag questions that are not in English, the language of the benchmark."""

from __future__ import annotations

from earthreason.questions.checks.base import Check, each_question, words_of

_TEXT = """
a an and are as at be been but by can could do does for from had has have he her him his how i if in into is it its
just like may might more most much must my near no not of on one only or other our out over people place she should
so some such than that the their them then there these they this those to up was we were what when where which
while who why will with within without would you your area region part find show me mark point locate identify used
"""
_COMMON = frozenset(_TEXT.split())
_LEAST_SHARE = 0.25


def _objection(question: str) -> str | None:
    letters = [character for character in question if character.isalpha()]
    if letters and sum(not character.isascii() for character in letters) > 0.1 * len(letters):
        return "not in English: letters of another script"
    words = words_of(question)
    if len(words) < 5:
        return None
    share = sum(word in _COMMON for word in words) / len(words)
    return f"not in English: {share:.0%} common English words" if share < _LEAST_SHARE else None


CHECK = Check(
    "language",
    "A question is in English: at least a quarter of its words are common English words.",
    bad=("Wo könnte hier ein Flugzeug im Notfall landen?",),
    good=("Where could an aircraft put down in an emergency?",),
    run=each_question("language", _objection),
)
