"""Flag texts that are neither a question nor a request, such as statements, titles and answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from earthreason.questions.checks.base import REQUESTS, Check, each_question, words_of
from earthreason.questions.language import parse, word_set

if TYPE_CHECKING:
    from spacy.tokens import Token

_ASKING = word_set("where what which who whom whose how why when")
_HELPING = word_set("is are was were do does did can could would will should has have may might")
_WISHES = word_set("ask care curious interested know learn like look love need try want wish wonder")
_SUBJECTS = frozenset(("nsubj", "nsubjpass", "expl", "csubj"))


def _objection(question: str) -> str | None:
    words = words_of(question)
    if not words:
        return "no words"
    if question.rstrip().endswith("?"):
        return None if (_ASKING | _HELPING) & set(words) else "ends with a question mark but asks nothing"
    if "?" in question or any(_orders(token) or _wishes(token) for token in parse(question)):
        return None
    clauses = re.split(r"[,:;.!]", question.lower())
    openings = [words_of(clause)[:2] for clause in clauses]
    if any(REQUESTS & set(opening) for opening in openings):
        return None
    return "neither a question nor a request"


def _orders(token: Token) -> bool:
    """Tell whether a word is a main verb in the imperative: no subject, no auxiliary, no `to`."""
    if token.tag_ != "VB" or token.dep_ not in ("ROOT", "conj", "ccomp"):
        return False
    return not any(child.dep_ in (*_SUBJECTS, "aux", "mark") for child in (*token.children, *token.head.children))


def _wishes(token: Token) -> bool:
    """Tell whether somebody wishes to be shown or told something: I want to know where, we need the outline of."""
    if token.lemma_.lower() not in _WISHES:
        return False
    verb = token if token.pos_ == "VERB" else token.head
    if verb.tag_ == "VBG" and verb.lemma_ in ("look", "search", "seek"):
        return True
    speaks = any(child.lower_ in ("i", "we") for child in verb.children if child.dep_ in _SUBJECTS)
    asks = any(word.lower_ in _ASKING and word.i > token.i for word in token.doc)
    wanted = {word.lemma_.lower() for word in token.doc[token.i + 1 :]}
    return asks if not speaks else asks or bool(wanted & (REQUESTS | {"map", "see", "know"}))


CHECK = Check(
    "not a question",
    "A question asks something, or requests to find or mark something.",
    bad=("The area where ships unload.",),
    good=("Show me where ships could unload.", "I want to know where ships unload."),
    run=each_question("not a question", _objection),
)
