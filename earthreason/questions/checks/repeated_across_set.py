"""Flag questions that are repeated for other images, because they teach a template instead of reasoning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from earthreason.questions.checks.base import CheckFinding, QuestionSet, SetCheck, words_of

ALIKE = 95.0
_SHINGLE, _COMMON = 4, 60


def _run(sets: Iterable[QuestionSet]) -> Iterator[CheckFinding]:
    from rapidfuzz.fuzz import token_sort_ratio

    texts: list[tuple[str, str]] = []
    by_shingle: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for asked in sets:
        for question in asked.questions:
            words = words_of(question)
            shingles = {tuple(words[k : k + _SHINGLE]) for k in range(max(1, len(words) - _SHINGLE + 1))}
            # Only questions that share a rare run of words can be alike; common runs would compare everything.
            rare = [shingle for shingle in shingles if len(by_shingle[shingle]) < _COMMON]
            near = {number for shingle in rare for number in by_shingle[shingle]}
            for number in sorted(near):
                sample_id, other = texts[number]
                if sample_id != asked.sample_id and token_sort_ratio(question.lower(), other.lower()) >= ALIKE:
                    reason = f"also asked about {sample_id!r}: {other!r}"
                    yield CheckFinding(CHECK.name, asked.sample_id, question, reason)
                    break
            for shingle in shingles:
                by_shingle[shingle].append(len(texts))
            texts.append((asked.sample_id, question))


CHECK = SetCheck("repeated across set", f"No question is {ALIKE:g} % like one about another image.", _run)
