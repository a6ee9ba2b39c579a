"""Flag answers that do not mention the target."""

from __future__ import annotations

from collections.abc import Iterator

from earthreason.questions.checks.base import Check, CheckFinding, QuestionSet, words_of
from earthreason.questions.checks.names_category import SYNONYMS, pattern_of

_FEWEST_WORDS = 4


def _run(asked: QuestionSet) -> Iterator[CheckFinding]:
    for answer in asked.answers:
        if len(words_of(answer)) < _FEWEST_WORDS:
            yield CheckFinding(CHECK.name, asked.sample_id, answer, "too short to explain anything")
        elif asked.category and not asked.is_empty:
            heads = {word.rstrip("s") for word in asked.category.lower().split()}
            said = {word.rstrip("s") for word in words_of(answer)}
            known = asked.category.lower() in SYNONYMS
            if not pattern_of(asked.category).search(answer.lower()) and not (heads & said and not known):
                yield CheckFinding(CHECK.name, asked.sample_id, answer, f"does not mention the {asked.category}")


CHECK = Check(
    "answer target",
    "An answer has at least four words and names the target, if its category is known.",
    bad=("It is a nice place to be in summer. (about a pier)",),
    good=("It is the jetty, because boats tie up along it. (about a pier)",),
    run=_run,
)
