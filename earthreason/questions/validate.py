"""Run every check on a dataset, and summarise its questions in a score card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from earthreason.data.reader import read_all
from earthreason.data.sources import Source
from earthreason.data.stats import PAPER_ANSWER_WORDS, PAPER_QUESTION_WORDS
from earthreason.errors import UnknownNameError
from earthreason.questions.checks import CHECKS, SET_CHECKS, CheckFinding, QuestionSet, check_all
from earthreason.questions.checks.base import words_of


@dataclass(frozen=True)
class QuestionValidation:
    """Result of a validation.

    Attributes:
        samples, questions, answers: numbers of what was checked.
        findings: findings of the checks.
        card: score card of the dataset: lengths, diversity, openings.
    """

    samples: int
    questions: int
    answers: int
    findings: list[CheckFinding]
    card: dict[str, Any]

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


def validate(source: Source, progress: Callable[[int], object] = lambda _: None) -> QuestionValidation:
    """Run every check on the texts of a dataset."""
    sets = []
    for _, record in read_all(source):
        texts = tuple(record.questions), tuple(record.answers)
        sets.append(QuestionSet(record.sample_id, *texts, record.category, record.is_empty))
        progress(1)
    findings = [finding for asked in sets for finding in check_all(asked)]
    findings += [finding for check in SET_CHECKS.values() for finding in check.run(sets)]
    questions = [question for asked in sets for question in asked.questions]
    answers = [answer for asked in sets for answer in asked.answers]
    return QuestionValidation(len(sets), len(questions), len(answers), findings, score_card(questions, answers))


def score_card(questions: list[str], answers: list[str]) -> dict[str, Any]:
    """Return mean lengths and the paper's, distinct-1 and distinct-2 (arXiv 1510.03055), and the commonest opening."""
    words = [words_of(question) for question in questions]
    openings = Counter(" ".join(line[:3]) for line in words)
    opening, count = openings.most_common(1)[0] if openings else ("", 0)
    return {
        "question_words": _mean(len(question.split()) for question in questions),
        "question_words_paper": PAPER_QUESTION_WORDS,
        "answer_words": _mean(len(answer.split()) for answer in answers),
        "answer_words_paper": PAPER_ANSWER_WORDS,
        "distinct_1": _distinct(words, 1),
        "distinct_2": _distinct(words, 2),
        "different_openings": len(openings),
        "commonest_opening": opening,
        "commonest_opening_share": round(count / len(questions), 4) if questions else None,
    }


def _mean(values: Iterable[int]) -> float | None:
    numbers = list(values)
    return round(sum(numbers) / len(numbers), 2) if numbers else None


def _distinct(lines: list[list[str]], n: int) -> float | None:
    """Divide the number of different n-grams by the number of all n-grams."""
    grams = [tuple(line[k : k + n]) for line in lines for k in range(len(line) - n + 1)]
    return round(len(set(grams)) / len(grams), 4) if grams else None


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
