"""Flag answers that contradict the presence or absence of a target."""

from __future__ import annotations

import re
from collections.abc import Iterator

from earthreason.questions.checks.base import Check, CheckFinding, QuestionSet

_NOTHING = re.compile(
    r"\b(?:there (?:is|are|was|were) (?:no|not|none|nothing)|no (?:such|suitable|target|matching|visible)\b"
    r"|nothing (?:here|in this|of the kind|(?:in|there|that) \w* ?(?:matches|fits|answers|serves))"
    r"|(?:is|are) not (?:present|visible|here|there|shown)|(?:does|do) not (?:exist|appear|contain|show)"
    r"|cannot be found|none of|absent|without any such)"
)


def _run(asked: QuestionSet) -> Iterator[CheckFinding]:
    for answer in asked.answers:
        says_nothing = bool(_NOTHING.search(answer.lower()))
        if asked.is_empty and not says_nothing:
            yield CheckFinding(CHECK.name, asked.sample_id, answer, "names a target, but the target is empty")
        elif not asked.is_empty and says_nothing:
            yield CheckFinding(CHECK.name, asked.sample_id, answer, "says that nothing is there, but there is a target")


CHECK = Check(
    "emptiness",
    "An answer says that nothing is there if, and only if, the target is empty.",
    bad=("There is no such place here. (with a target)",),
    good=("It is the pier, where boats tie up. (with a target)",),
    run=_run,
)
