"""Flag questions that name the target's category, because they are not implicit."""

from __future__ import annotations

from collections.abc import Iterator

from earthreason.questions.checks.base import Check, CheckFinding, QuestionSet
from earthreason.questions.language import parse
from earthreason.questions.names import names_of


def _run(asked: QuestionSet) -> Iterator[CheckFinding]:
    if not asked.category:
        return
    names = names_of(asked.category)
    for question in asked.questions:
        named = names.find(parse(question))
        if named:
            yield CheckFinding(CHECK.name, asked.sample_id, question, f"names the {asked.category}: {named!r}")


CHECK = Check(
    "names category",
    "A question never names the category, a synonym, a kind of it, or a word made from its name.",
    bad=("Where is the runway on which planes land?", "Which of the runways is longest?"),
    good=("Where could an aircraft put down in an emergency?",),
    run=_run,
)
