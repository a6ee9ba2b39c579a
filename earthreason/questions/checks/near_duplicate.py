"""Flag questions about one image that are nearly the same, and answers that repeat a question or an answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from earthreason.questions.checks.base import Check, CheckFinding, QuestionSet, words_of
from earthreason.questions.language import embed, parse

if TYPE_CHECKING:
    from spacy.tokens import Token

_LEAST_ALIKE = 0.705
"""Likeness, -1 to 1, from which two questions count as the same."""
_WHOLE, _ONE_SIDED = 0.7, 0.4
"""Weight of the whole questions in their likeness, and the likeness of the rest if only one has further words."""
SAME_WORDS = 85.0
"""Similarity of words, 0 to 100, from which an answer repeats a text; all answers about a target mean much the same."""


def _run(asked: QuestionSet) -> Iterator[CheckFinding]:
    vectors = embed(asked.questions)  # (questions, width)
    alike = vectors @ vectors.T  # (questions, questions)
    for number, question in enumerate(asked.questions[1:], start=1):
        for other, before in enumerate(asked.questions[:number]):
            whole = float(alike[number, other])
            if _WHOLE * whole + 1 - _WHOLE < _LEAST_ALIKE:
                continue  # whatever the rest
            likeness = _WHOLE * whole + (1 - _WHOLE) * _likeness_of_rest(before, question)
            if likeness >= _LEAST_ALIKE:
                yield CheckFinding(CHECK.name, asked.sample_id, question, f"{likeness:.0%} like {before!r}")
                break
    yield from _repeating_answers(asked)


def _likeness_of_rest(one: str, two: str) -> float:
    """Return how alike the closest words are that only one of two questions has: shade and drinks, cars and autos."""
    first, second = (
        {token.lemma_.lower(): token.lower_ for token in parse(text) if _has_content(token)} for text in (one, two)
    )
    rests = [
        [words[lemma] for lemma in words.keys() - others.keys()] for words, others in ((first, second), (second, first))
    ]
    if not any(rests):
        return 1.0
    if not all(rests):
        return _ONE_SIDED
    return float((embed(rests[0]) @ embed(rests[1]).T).max())


def _has_content(token: Token) -> bool:
    return token.is_alpha and not token.is_stop and token.pos_ in ("ADJ", "ADV", "NOUN", "NUM", "PROPN", "VERB")


def _repeating_answers(asked: QuestionSet) -> Iterator[CheckFinding]:
    from rapidfuzz.fuzz import token_sort_ratio

    known = [(" ".join(words_of(text)), text) for text in asked.questions]
    for answer in asked.answers:
        words = " ".join(words_of(answer))
        repeated = next((text for other, text in known if token_sort_ratio(words, other) >= SAME_WORDS), None)
        if repeated is not None:
            yield CheckFinding(CHECK.name, asked.sample_id, answer, f"repeats {repeated!r}")
        known.append((words, answer))


CHECK = Check(
    "near duplicate",
    "No question means the same as another one about the image; no answer repeats the words of a question or answer.",
    bad=("Where could ships unload? Where could the ships unload?",),
    good=("Where could ships unload? Which place smells of fish in the morning?",),
    run=_run,
)
