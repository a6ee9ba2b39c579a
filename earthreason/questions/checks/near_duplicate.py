"""Flag questions about one image that are nearly the same."""

from __future__ import annotations

from collections.abc import Iterator

from earthreason.questions.checks.base import Check, CheckFinding, QuestionSet
from earthreason.questions.language import embed

ALIKE = 0.79
"""Cosine of the sentence vectors from which two questions count as the same."""


def _run(asked: QuestionSet) -> Iterator[CheckFinding]:
    vectors = embed(asked.questions)  # (questions, width)
    alike = vectors @ vectors.T  # (questions, questions)
    for number, question in enumerate(asked.questions[1:], start=1):
        other = int(alike[number, :number].argmax())
        score = alike[number, other]
        if score >= ALIKE:
            yield CheckFinding(CHECK.name, asked.sample_id, question, f"{score:.0%} like {asked.questions[other]!r}")


CHECK = Check(
    "near duplicate",
    f"No question means the same as another one about the image: their vectors are less than {ALIKE:.0%} alike.",
    bad=("Where could ships unload? Where could the ships unload?",),
    good=("Where could ships unload? Which place smells of fish in the morning?",),
    run=_run,
)
