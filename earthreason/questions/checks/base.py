"""Types of checks, and helpers to write one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from earthreason.questions.language import word_set

if TYPE_CHECKING:
    from spacy.tokens import Token

PICTURES = ("image", "imagery", "photo", "photograph", "picture", "screenshot", "snapshot")
"""Words for the image that a question is about."""
REQUESTS = word_set(
    """
    circle choose compare consider describe determine draw find give help highlight identify imagine indicate
    let list locate look mark name outline pick pinpoint please point protect rank recommend search segment
    select shade show spot suggest suppose tell trace
    """
)
"""Verbs that ask for something."""
SUBJECTS = frozenset(("nsubj", "nsubjpass", "expl", "csubj"))
"""Relations of subjects to their verbs."""
LONGEST_READ = 2000
"""Characters of a text that grammar is looked for in; longer ones are no questions, and would take minutes."""
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


@dataclass(frozen=True)
class QuestionSet:
    """The texts about one image.

    Attributes:
        category: class of the target, or the absent concept; None if unknown.
        is_empty: whether nothing in the image answers the questions.
        target: name of the target besides its category, such as that of a proposal; None if there is none.
        language: ISO 639-1 code of the language that the texts are to have.
    """

    sample_id: str
    questions: tuple[str, ...]
    answers: tuple[str, ...] = ()
    category: str | None = None
    is_empty: bool = False
    target: str | None = None
    language: str = "en"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what the texts are about."""
        return tuple(dict.fromkeys(name for name in (self.category, self.target) if name))


@dataclass(frozen=True)
class CheckFinding:
    """A text that breaks the rule of a check.

    Attributes:
        check: name of the check.
        sample_id: id of the sample.
        text: question or answer.
        reason: fault of the text.
    """

    check: str
    sample_id: str
    text: str
    reason: str


@dataclass(frozen=True)
class Check:
    """A rule about the texts of one image.

    Attributes:
        name: short name.
        rule: rule in one sentence.
        bad, good: examples of texts that break the rule and of texts that keep it.
        run: yields the findings.
        any_language: whether it understands other languages than English.
        any_length: whether it reads texts of more than `LONGEST_READ` characters.
    """

    name: str
    rule: str
    bad: tuple[str, ...]
    good: tuple[str, ...]
    run: Callable[[QuestionSet], Iterator[CheckFinding]]
    any_language: bool = False
    any_length: bool = False


@dataclass(frozen=True)
class SetCheck:
    """A rule about all texts of a dataset."""

    name: str
    rule: str
    run: Callable[[Iterable[QuestionSet]], Iterator[CheckFinding]]


def words_of(text: str) -> list[str]:
    """Split a text into lower-case words and numbers; apostrophes inside words are kept."""
    return _WORD.findall(text.lower().replace("’", "'"))


def is_order(token: Token) -> bool:
    """Tell whether a word is a main verb in the imperative: no subject, no auxiliary, no `to`."""
    if token.tag_ != "VB" or token.dep_ not in ("ROOT", "conj", "ccomp"):
        return False
    return not any(child.dep_ in (*SUBJECTS, "aux", "mark") for child in (*token.children, *token.head.children))


Objection = Callable[[str], str | None]
"""Function that returns the fault of a text, or None."""


def each_question(name: str, objection: Objection) -> Callable[[QuestionSet], Iterator[CheckFinding]]:
    """Make the `run` of a check on single questions."""
    return each_text(name, objection, lambda _: None)


def each_text(
    name: str, of_question: Objection, of_answer: Objection
) -> Callable[[QuestionSet], Iterator[CheckFinding]]:
    """Make the `run` of a check on single questions and answers."""

    def run(asked: QuestionSet) -> Iterator[CheckFinding]:
        for texts, objection in ((asked.questions, of_question), (asked.answers, of_answer)):
            for text in texts:
                reason = objection(text)
                if reason:
                    yield CheckFinding(name, asked.sample_id, text, reason)

    return run
