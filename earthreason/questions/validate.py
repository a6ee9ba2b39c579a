"""Run every check on a dataset, and summarise its questions in a score card."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from earthreason.data.reader import read_all
from earthreason.data.schema import Record
from earthreason.data.sources import Source
from earthreason.data.stats import PAPER_ANSWER_WORDS, PAPER_QUESTION_WORDS
from earthreason.errors import UnknownNameError
from earthreason.questions.checks import CHECKS, SET_CHECKS, CheckFinding, QuestionSet, check_many
from earthreason.questions.checks.base import LONGEST_READ
from earthreason.questions.language import WIDTH, embed, require_language
from earthreason.questions.measures import SetMeasures, measure_set
from earthreason.questions.settlement import name_samples

_TOGETHER = 500
"""Images whose texts are read at once."""


@dataclass(frozen=True)
class QuestionValidation:
    """Result of a validation.

    Attributes:
        samples, questions, answers: numbers of what was checked.
        findings: findings of the checks.
        card: mean lengths of the texts, and the paper's.
        measures: diversity, balance and shortcuts of the set.
    """

    samples: int
    questions: int
    answers: int
    findings: list[CheckFinding]
    card: dict[str, Any]
    measures: SetMeasures

    def by_check(self) -> dict[str, list[CheckFinding]]:
        """Group the findings by check; a check without findings has an empty list."""
        grouped: dict[str, list[CheckFinding]] = {name: [] for name in (*CHECKS, *SET_CHECKS)}
        for finding in self.findings:
            grouped[finding.check].append(finding)
        return grouped

    def to_dict(self) -> dict[str, Any]:
        """Convert the result to JSON values."""
        values = asdict(self)
        findings = values.pop("findings")
        checks = {name: len(grouped) for name, grouped in self.by_check().items()}
        return {**values, "checks": checks, "findings": findings}


def validate(
    source: Source, progress: Callable[[int], object] = lambda _: None, language: str | None = None
) -> QuestionValidation:
    """Run every check on the texts of a dataset, and measure its questions as a set.

    Args:
        source: the dataset. Samples of several splits with one id are named `SPLIT/ID`.
        progress: called with 1 after every sample.
        language: ISO 639-1 code of the language of the texts; None means the one in which a run of question generation
            wrote them, or English.
    """
    require_language()
    sets: list[QuestionSet] = []
    types: list[str | None] = []
    keys: list[tuple[str, str]] = []
    for split, record in read_all(source):
        texts = tuple(record.questions), tuple(record.answers)
        spoken = language or _language_of(record)
        sets.append(QuestionSet(record.sample_id, *texts, record.category, record.is_empty, language=spoken))
        types.append(record.reasoning_type)
        keys.append((split, record.sample_id))
        progress(1)
    names = name_samples(keys)
    sets = [replace(asked, sample_id=names[key]) for asked, key in zip(sets, keys, strict=True)]
    findings, vectors = [], [np.zeros((0, WIDTH), np.float32)]
    for start in range(0, len(sets), _TOGETHER):
        some = sets[start : start + _TOGETHER]
        findings += check_many(some)
        vectors.append(embed([question[:LONGEST_READ] for asked in some for question in asked.questions]))
    findings += [finding for check in SET_CHECKS.values() for finding in check.run(sets)]
    measures = measure_set(sets, np.concatenate(vectors), types)
    questions = [question for asked in sets for question in asked.questions]
    answers = [answer for asked in sets for answer in asked.answers]
    card = score_card(questions, answers)
    return QuestionValidation(len(sets), len(questions), len(answers), findings, card, measures)


def _language_of(record: Record) -> str:
    """Return the code of the language in which a run wrote the texts of a record; English if it does not say."""
    extra = json.loads(record.extra) if record.extra else {}
    generated = extra.get("generated")
    told = generated.get("language") if isinstance(generated, dict) else None
    return str(told or "English/en").rpartition("/")[2]


def score_card(questions: list[str], answers: list[str]) -> dict[str, Any]:
    """Return mean lengths and the paper's."""
    return {
        "question_words": _mean(len(question.split()) for question in questions),
        "question_words_paper": PAPER_QUESTION_WORDS,
        "answer_words": _mean(len(answer.split()) for answer in answers),
        "answer_words_paper": PAPER_ANSWER_WORDS,
    }


def _mean(values: Iterable[int]) -> float | None:
    numbers = list(values)
    return round(sum(numbers) / len(numbers), 2) if numbers else None


def check_names(names: Iterable[str]) -> list[str]:
    """Resolve names of checks given on the command line; `any` means all checks.

    Raises:
        UnknownNameError: a name is not that of a check.
    """
    known = [*CHECKS, *SET_CHECKS]
    wanted = []
    for name in names:
        cleaned = name.replace("-", " ").replace("_", " ")
        if cleaned == "any":
            return known
        if cleaned not in known:
            raise UnknownNameError("check", name, [*known, "any"])
        wanted.append(cleaned)
    return wanted
