"""Flag questions that name the target's category, because they are not implicit."""

from __future__ import annotations

from collections.abc import Iterator

from earthreason.questions.checks.base import Check, CheckFinding, QuestionSet
from earthreason.questions.language import parse
from earthreason.questions.names import names_of


def _run(asked: QuestionSet) -> Iterator[CheckFinding]:
    for question in asked.questions:
        found = ((name, names_of(name).find(parse(question))) for name in asked.names)
        name, named = next(((name, named) for name, named in found if named), ("", None))
        if named:
            yield CheckFinding(CHECK.name, asked.sample_id, question, f"names the {name}: {named!r}")


CHECK = Check(
    "names category",
    "A question never names the target or its category, a synonym, a kind of it, or a word made from its name.",
    bad=("Where is the runway on which planes land?", "Which of the runways is longest?"),
    good=("Where could an aircraft put down in an emergency?",),
    run=_run,
)
