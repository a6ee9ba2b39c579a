"""Settle what people said about a question: the one rule for runs of `questions generate` and for reviews.

1. Verdicts count in the order of their times. Of equal times the later one in the list counts as later; a verdict
   without a time counts as the earliest.
2. A person's latest verdict on a question replaces all earlier ones of that person, edits included. Verdicts without
   a name count as one person's.
3. `accept` and `edit` are votes to keep the question, `reject` is a vote against it, `unsure` is no vote.
4. The majority decides: the question is kept or rejected. As many votes for as against leave it disputed, without any
   vote it stays open.
5. The text is that of the latest edit. Accepting never changes a text: whoever accepts after an edit accepts the edited
   text.
6. Kept and open questions are exported with their text; rejected and disputed ones are not. A sample of which no
   question is left is not exported: it is rejected if all its questions are, and disputed otherwise.
"""

from __future__ import annotations

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
    """What one person decided about one question.

    Attributes:
        who: name of the person.
        when: time of the decision, with a time zone; see `parse_time`.
        decision: accept, edit, reject or unsure.
        text: new text of an edit; ignored otherwise.
    """

    who: str
    when: datetime
    decision: Decision
    text: str = ""


@dataclass(frozen=True)
class SettledQuestion:
    """A question with its current text and what the verdicts on it come to."""

    text: str
    outcome: Outcome

    @property
    def exported(self) -> bool:
        """Whether the question belongs in an export."""
        return self.outcome in ("kept", "open")


@dataclass(frozen=True)
class SettledSample:
    """The settled questions of one sample, in their order."""

    questions: tuple[SettledQuestion, ...]

    @property
    def texts(self) -> list[str]:
        """Texts of the questions to export."""
        return [question.text for question in self.questions if question.exported]

    @property
    def outcome(self) -> Outcome:
        """`kept` if a question is left to export, else `rejected` or `disputed`; `open` if nobody decided anything."""
        outcomes = {question.outcome for question in self.questions}
        if outcomes <= {"open"}:
            return "open"
        if outcomes & {"open", "kept"}:
            return "kept"
        return "disputed" if "disputed" in outcomes else "rejected"


@dataclass(frozen=True)
class LeftOut:
    """What an export leaves out because of its reviews.

    Attributes:
        rejected: ids of samples whose every question was rejected.
        disputed: ids of samples without a question left, of which at least one is disputed.
        questions: disputed questions, as `ID question NUMBER`, of all samples.
    """

    rejected: list[str]
    disputed: list[str]
    questions: list[str]


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 time, in UTC where it states no zone; an empty text is the earliest time.

    Raises:
        ValueError: not such a time.
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
        latest.pop(verdict.who, None)  # so that the order stays that of the verdicts which count
        latest[verdict.who] = verdict
    edits = [verdict.text for verdict in latest.values() if verdict.decision == "edit"]
    votes = [verdict.decision != "reject" for verdict in latest.values() if verdict.decision != "unsure"]
    return SettledQuestion(edits[-1] if edits else question, _majority(votes))


def _majority(votes: Sequence[bool]) -> Outcome:
    if not votes:
        return "open"
    balance = 2 * sum(votes) - len(votes)
    return "kept" if balance > 0 else "rejected" if balance < 0 else "disputed"


def settle_sample(questions: Sequence[str], verdicts: Mapping[int, Iterable[PersonVerdict]]) -> SettledSample:
    """Apply the rule to every question of a sample.

    Args:
        questions: texts as they were reviewed.
        verdicts: by the question's position in `questions`, from 0.
    """
    return SettledSample(
        tuple(settle_question(question, verdicts.get(number, ())) for number, question in enumerate(questions))
    )


def left_out(samples: Mapping[str, SettledSample]) -> LeftOut:
    """Name the samples and questions that an export leaves out.

    Args:
        samples: settled samples by id.
    """
    return LeftOut(
        rejected=sorted(name for name, sample in samples.items() if sample.outcome == "rejected"),
        disputed=sorted(name for name, sample in samples.items() if sample.outcome == "disputed"),
        questions=[
            f"{name} question {number}"
            for name, sample in sorted(samples.items())
            for number, question in enumerate(sample.questions)
            if question.outcome == "disputed"
        ],
    )
