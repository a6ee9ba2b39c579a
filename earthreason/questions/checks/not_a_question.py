"""Flag texts that are neither a question nor a request, such as statements, titles and answers."""

from __future__ import annotations

import re

from earthreason.questions.checks.base import Check, each_question, words_of

_ASKING = "where what which who whose how why when"
_HELPING = "is are was were do does did can could would will should has have may might"
_ORDERING = """
find show mark point identify locate select outline name tell indicate pick give choose circle spot trace protect
consider compare look search please list determine help let imagine suppose describe draw recommend suggest
"""
_INTERROGATIVES, _REQUESTS = frozenset(_ASKING.split()), frozenset(_ORDERING.split())
_INDIRECT = re.compile(
    r"\b(?:asks?|asked|wonders?|wondering|needs? to know|wants? to know)\b.*\b(?:which|where|what|who)\b"
)


def _objection(question: str) -> str | None:
    words = words_of(question)
    if not words:
        return "no words"
    if question.rstrip().endswith("?"):
        asks = _INTERROGATIVES.union(_HELPING.split())
        return None if asks & set(words) else "ends with a question mark but asks nothing"
    if _INDIRECT.search(question.lower()):
        return None
    clauses = re.split(r"[,:;.!]", question.lower())
    openings = [words_of(clause)[:2] for clause in clauses]
    if any(_REQUESTS & set(opening) for opening in openings):
        return None
    return "neither a question nor a request"


CHECK = Check(
    "not a question",
    "A question asks something, or requests to find or mark something.",
    bad=("The area where ships unload.",),
    good=("Show me where ships could unload.",),
    run=each_question("not a question", _objection),
)
