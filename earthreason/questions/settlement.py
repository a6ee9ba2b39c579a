"""Settle the verdicts of reviewers on a question. Runs of `questions generate` and reviews of samples share this rule.

1. Verdicts are ordered by time. Of two with the same time, the later one in the list is the later verdict; a verdict
   without a time is the earliest.
2. A person's latest verdict on a question replaces all earlier ones of that person, edits included. All verdicts
   without a name count as those of one person.
3. `accept` and `edit` are votes to keep the question, `reject` is a vote against it, `unsure` is no vote.
4. The majority decides whether the question is kept or rejected. A tie leaves it disputed; without votes it is open.
5. The text is that of the latest edit. Accepting a question never changes its text: a reviewer who accepts it after an
   edit accepts the edited text.
6. Kept and open questions are exported with their text; rejected and disputed ones are not. A sample without any
   question to export is left out: it is rejected if all its questions are, and disputed otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

Decision = Literal["accept", "edit", "reject", "unsure"]
VERDICTS: tuple[Decision, ...] = get_args(Decision)
Outcome = Literal["open", "kept", "rejected", "disputed"]
_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class PersonVerdict:
    """The decision of one person on one question.

    Attributes:
        who: name of the reviewer.
        when: time of the decision, with a time zone; see `parse_time`.
        decision: accept, edit, reject or unsure.
        text: new text, if the decision is an edit.
    """

    who: str
    when: datetime
    decision: Decision
    text: str = ""


@dataclass(frozen=True)
class SettledQuestion:
    """The text of a question after all edits, and the outcome of its verdicts."""

    text: str
    outcome: Outcome

    @property
    def is_exported(self) -> bool:
        """Whether exports contain the question."""
        return self.outcome in ("kept", "open")


@dataclass(frozen=True)
class SettledSample:
    """The settled questions of one sample, in their order."""

    questions: tuple[SettledQuestion, ...]

    @property
    def texts(self) -> list[str]:
        """Texts of the questions to export."""
        return [question.text for question in self.questions if question.is_exported]

    @property
    def outcome(self) -> Outcome:
        """`open` if no question has a vote, else `kept` if a question is exported, else `rejected` or `disputed`."""
        outcomes = {question.outcome for question in self.questions}
        if outcomes <= {"open"}:
            return "open"
        if outcomes & {"open", "kept"}:
            return "kept"
        return "disputed" if "disputed" in outcomes else "rejected"


@dataclass(frozen=True)
class LeftOut:
    """Samples and questions that an export leaves out because of their reviews.

    Attributes:
        rejected: names of samples all of whose questions were rejected.
        disputed: names of samples that have no question to export and at least one disputed question.
        questions: disputed questions of all samples, as `ID question NUMBER`.
    """

    rejected: list[str]
    disputed: list[str]
    questions: list[str]


def parse_time(text: str) -> datetime:
    """Parse an ISO 8601 time; it is in UTC if it has no zone. An empty text is the earliest time.

    Raises:
        ValueError: the text is not an ISO 8601 time.
    """
    if not text:
        return _EARLIEST
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def settle_question(question: str, verdicts: Iterable[PersonVerdict]) -> SettledQuestion:
    """Apply the rule to the verdicts on one question.

    >>> noon, one = parse_time("2026-01-01T12:00"), parse_time("2026-01-01T13:00")
    >>> edit = PersonVerdict("ann", noon, "edit", "Where may one moor?")
    >>> settle_question("Where is the pier?", [PersonVerdict("ben", one, "accept"), edit])
    SettledQuestion(text='Where may one moor?', outcome='kept')
    """
    latest: dict[str, PersonVerdict] = {}
    for verdict in sorted(verdicts, key=lambda verdict: verdict.when):
        latest.pop(verdict.who, None)  # moves the person to the end, so that the latest edit comes last
        latest[verdict.who] = verdict
    edits = [verdict.text for verdict in latest.values() if verdict.decision == "edit"]
    votes = [verdict.decision != "reject" for verdict in latest.values() if verdict.decision != "unsure"]
    balance = 2 * sum(votes) - len(votes)
    outcome: Outcome = "kept" if balance > 0 else "rejected" if balance < 0 else "disputed" if votes else "open"
    return SettledQuestion(edits[-1] if edits else question, outcome)


def settle_sample(questions: Sequence[str], verdicts: Mapping[int, Iterable[PersonVerdict]]) -> SettledSample:
    """Apply the rule to every question of a sample.

    Args:
        questions: texts shown to the reviewers.
        verdicts: verdicts by the question's index in `questions`.
    """
    return SettledSample(
        tuple(settle_question(question, verdicts.get(number, ())) for number, question in enumerate(questions))
    )


def name_samples(samples: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Name samples, given by split and id: by the id, or as `SPLIT/ID` if several splits have one with this id."""
    known = set(samples)
    several = Counter(sample_id for _, sample_id in known)
    return {(split, name): f"{split}/{name}" if several[name] > 1 else name for split, name in known}


def left_out(samples: Mapping[tuple[str, str], SettledSample]) -> LeftOut:
    """Name what an export of the settled samples, given by split and id, leaves out.

    Samples are named as by `name_samples`.
    """
    names = name_samples(samples)
    named = {names[key]: sample for key, sample in samples.items()}
    return LeftOut(
        rejected=sorted(name for name, sample in named.items() if sample.outcome == "rejected"),
        disputed=sorted(name for name, sample in named.items() if sample.outcome == "disputed"),
        questions=[
            f"{name} question {number}"
            for name, sample in sorted(named.items())
            for number, question in enumerate(sample.questions)
            if question.outcome == "disputed"
        ],
    )
