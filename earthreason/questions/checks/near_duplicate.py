"""Flag questions about one image that are nearly the same."""

from __future__ import annotations

from collections.abc import Iterator

from earthreason.questions.checks.base import Check, CheckFinding, QuestionSet

ALIKE = 90.0
"""rapidfuzz token-sort ratio from which two questions count as the same."""


def _run(asked: QuestionSet) -> Iterator[CheckFinding]:
    from rapidfuzz.fuzz import token_sort_ratio

    for number, question in enumerate(asked.questions):
        for other in asked.questions[:number]:
            score = token_sort_ratio(question.lower(), other.lower())
            if score >= ALIKE:
                yield CheckFinding(CHECK.name, asked.sample_id, question, f"{score:.0f} % like {other!r}")
                break


CHECK = Check(
    "near duplicate",
    f"No two questions about an image are {ALIKE:g} % alike (words sorted).",
    bad=("Where could ships unload? Where could the ships unload?",),
    good=("Where could ships unload? Which place smells of fish in the morning?",),
    run=_run,
)
