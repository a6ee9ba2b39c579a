"""Flag texts that are neither a question nor a request, such as statements, titles and answers."""

from __future__ import annotations

import re

from earthreason.questions.checks.base import REQUESTS, Check, each_question, words_of

_ASKING = "where what which who whose how why when"
_HELPING = "is are was were do does did can could would will should has have may might"
_INTERROGATIVES = frozenset(_ASKING.split())
_INDIRECT = re.compile(
    r"\b(?:asks?|asked|wonders?|wondering|curious|(?:need|want|like|love|wish)s? to (?:know|find|see|learn))\b.*\b(?:which|where|what|who)\b"
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
    if any(REQUESTS & set(opening) for opening in openings):
        return None
    return "neither a question nor a request"


CHECK = Check(
    "not a question",
    "A question asks something, or requests to find or mark something.",
    bad=("The area where ships unload.",),
    good=("Show me where ships could unload.",),
    run=each_question("not a question", _objection),
)
