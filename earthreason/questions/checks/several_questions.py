"""Flag texts with several questions, because they have several answers but one mask."""

from __future__ import annotations

import re

from earthreason.questions.checks.base import Check, each_question

_SECOND = re.compile(
    r"(?:,|;|\.|\?)?\s(?:and|or)\s(?:also\s)?(?:where|what|which|who|why|when|how)\s(?:is|are|does|do|did|can|could|would|will"
    r"|should|else|much|many|place|area|part|one)\b"
)


def _objection(question: str) -> str | None:
    if question.count("?") > 1:
        return f"{question.count('?')} question marks"
    match = _SECOND.search(question.lower())
    if match and re.search(r"\b(?:where|what|which|who|why|when|how)\b", question.lower()[: match.start()]):
        return f"asks a second question: {match[0].strip(' ,;.')!r}"
    return None


CHECK = Check(
    "several questions",
    "A question asks for one thing only.",
    bad=("Where could ships unload, and where would their crews sleep?",),
    good=("Where could ships unload and take on fuel?",),
    run=each_question("several questions", _objection),
)
