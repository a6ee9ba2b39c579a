"""Flag questions that are too short, too long or hard to read."""

from __future__ import annotations

from earthreason.plurals import count_of
from earthreason.questions.checks.base import LONGEST_READ, Check, each_text, words_of

SHORTEST, LONGEST = 5, 45
LONGEST_ANSWER = 80
LONGEST_MEAN_WORD = 7.5


def _objection(question: str) -> str | None:
    if len(question) > LONGEST_READ:
        return f"{len(question):,} characters; too long to be checked"
    count = len(question.split())
    if count < SHORTEST:
        return f"{count_of(count, 'word')}; at least {SHORTEST} are needed"
    if count > LONGEST:
        return f"{count} words; more than {LONGEST} are hard to follow"
    words = words_of(question)
    mean = sum(map(len, words)) / len(words) if words else 0
    return f"words of {mean:.1f} letters on average; hard to read" if mean > LONGEST_MEAN_WORD else None


def _objection_to_answer(answer: str) -> str | None:
    if len(answer) > LONGEST_READ:
        return f"{len(answer):,} characters; too long to be checked"
    count = len(answer.split())
    return f"{count} words; more than {LONGEST_ANSWER} explain too much" if count > LONGEST_ANSWER else None


CHECK = Check(
    "length",
    f"A question has {SHORTEST} to {LONGEST} words of at most {LONGEST_MEAN_WORD} letters on average, an answer at "
    f"most {LONGEST_ANSWER} words.",
    bad=("Where?",),
    good=("Where could an aircraft put down in an emergency?",),
    run=each_text("length", _objection, _objection_to_answer),
    any_length=True,
)
