"""What checks take and give."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


@dataclass(frozen=True)
class QuestionSet:
    """The texts about one image.

    Attributes:
        category: class of the target, or the absent concept; None where unknown.
        is_empty: nothing in the image answers.
    """

    sample_id: str
    questions: tuple[str, ...]
    answers: tuple[str, ...] = ()
    category: str | None = None
    is_empty: bool = False


@dataclass(frozen=True)
class CheckFinding:
    """What a check objects to.

    Attributes:
        check: its name.
        sample_id: whose text it is.
        text: the question or answer.
        reason: what is wrong with it.
    """

    check: str
    sample_id: str
    text: str
    reason: str


@dataclass(frozen=True)
class Check:
    """A rule about the texts of one image.

    Attributes:
        name: short.
        rule: in one sentence.
        bad, good: examples of what it objects to and of what it lets pass.
        run: yields what it objects to.
    """

    name: str
    rule: str
    bad: tuple[str, ...]
    good: tuple[str, ...]
    run: Callable[[QuestionSet], Iterator[CheckFinding]]


@dataclass(frozen=True)
class SetCheck:
    """A rule about all texts of a set."""

    name: str
    rule: str
    run: Callable[[Iterable[QuestionSet]], Iterator[CheckFinding]]


def words_of(text: str) -> list[str]:
    """Lower-case words, apostrophes kept inside."""
    return _WORD.findall(text.lower().replace("’", "'"))


def phrase(what: str, *patterns: re.Pattern[str]) -> Callable[[str], str | None]:
    """An objection to the first of the patterns that occurs in a question; straight apostrophes, lower case."""

    def objection(question: str) -> str | None:
        text = question.lower().replace("’", "'")
        match = next((found for pattern in patterns if (found := pattern.search(text))), None)
        return f"{what}: {match[0]!r}" if match else None

    return objection


def each_question(name: str, objection: Callable[[str], str | None]) -> Callable[[QuestionSet], Iterator[CheckFinding]]:
    """A check that looks at every question alone: `objection` gives the reason, or None."""

    def run(asked: QuestionSet) -> Iterator[CheckFinding]:
        for question in asked.questions:
            reason = objection(question)
            if reason:
                yield CheckFinding(name, asked.sample_id, question, reason)

    return run
