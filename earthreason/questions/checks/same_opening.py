"""Flag openings shared by many questions of a dataset, which suggest a template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from earthreason.questions.checks.base import CheckFinding, QuestionSet, SetCheck, words_of

OPENING, MOST, FEWEST = 3, 0.2, 50


def _run(sets: Iterable[QuestionSet]) -> Iterator[CheckFinding]:
    openings: Counter[str] = Counter()
    example: dict[str, tuple[str, str]] = {}
    for asked in sets:
        for question in asked.questions:
            opening = " ".join(words_of(question)[:OPENING])
            openings[opening] += 1
            example.setdefault(opening, (asked.sample_id, question))
    total = sum(openings.values())
    for opening, count in openings.most_common():
        if total >= FEWEST and count > MOST * total:
            sample_id, question = example[opening]
            yield CheckFinding(CHECK.name, sample_id, question, f"{count} of {total} questions begin with {opening!r}")


CHECK = SetCheck("same opening", f"No three words open more than {MOST:.0%} of the questions of a dataset.", _run)
