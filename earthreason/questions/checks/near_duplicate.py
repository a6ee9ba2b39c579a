"""Flag questions about one image that are nearly the same, and answers that repeat a question or an answer."""

from __future__ import annotations

from collections.abc import Iterator

from earthreason.questions.checks.base import Check, CheckFinding, QuestionSet, words_of
from earthreason.questions.language import embed

ALIKE = 0.79
"""Cosine of the sentence vectors from which two questions count as the same."""
SAME_WORDS = 85.0
"""Similarity of words, 0 to 100, from which an answer repeats a text; all answers about a target mean much the same."""


def _run(asked: QuestionSet) -> Iterator[CheckFinding]:
    vectors = embed(asked.questions)  # (questions, width)
    alike = vectors @ vectors.T  # (questions, questions)
    for number, question in enumerate(asked.questions[1:], start=1):
        other = int(alike[number, :number].argmax())
        score = alike[number, other]
        if score >= ALIKE:
            yield CheckFinding(CHECK.name, asked.sample_id, question, f"{score:.0%} like {asked.questions[other]!r}")
    yield from _repeating_answers(asked)


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
    f"No question means the same as another one about the image: their vectors are less than {ALIKE:.0%} alike; no "
    "answer repeats the words of a question or of another answer.",
    bad=("Where could ships unload? Where could the ships unload?",),
    good=("Where could ships unload? Which place smells of fish in the morning?",),
    run=_run,
)
