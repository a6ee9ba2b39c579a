"""Flag texts that are neither a question nor a request, such as statements, titles and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthreason.questions.checks.base import REQUESTS, SUBJECTS, Check, each_question, is_order, words_of
from earthreason.questions.language import is_foreign, parse, word_set

if TYPE_CHECKING:
    from spacy.tokens import Token

_ASKING = word_set("where what which who whom whose how why when")
_HELPING = word_set("is are was were do does did can could would will should has have may might")
_OF_NAMES = ("ADJ", "ADP", "DET", "NOUN", "NUM", "PROPN")
_WISHES = word_set(
    "ask care curious interested know learn like look love must need search seek should try want wish wonder worry"
)
_URGENT = word_set("interested must need should want worry")
"""Wishes that need no word for finding or marking: we should clear the most exposed place."""


def _objection(question: str) -> str | None:
    if not any(character.isalpha() for character in question):
        return "no words"
    if question.rstrip().endswith(("?", "？")):
        asks = (_ASKING | _HELPING) & set(words_of(question)) or is_foreign(question)
        return None if asks else "ends with a question mark but asks nothing"
    if "?" in question or any(is_order(token) or _wishes(token) for token in parse(question)):
        return None
    if any(token.lower_ in REQUESTS and _opens_clause(token) for token in parse(question)):
        return None
    return "neither a question nor a request"


def _opens_clause(token: Token) -> bool:
    """Tell whether a word begins a clause, or follows one that does not describe it: please mark, not deep shade."""
    first = token if _follows_pause(token) else token.nbor(-1)
    return _follows_pause(first) and (first is token or first.pos_ not in _OF_NAMES)


def _follows_pause(token: Token) -> bool:
    return token.i == 0 or token.nbor(-1).text in (",", ":", ";", ".", "!")


def _wishes(token: Token) -> bool:
    """Tell whether somebody wishes to be shown or told something: I want to know where, we need the outline of."""
    if token.lemma_.lower() not in _WISHES:
        return False
    verb = token if token.pos_ == "VERB" else token.head
    verb = verb.head if verb.dep_ in ("acomp", "aux") else verb
    if verb.tag_ == "VBG" and verb.lemma_ in ("look", "search", "seek"):
        return True
    subjects = [child for child in verb.children if child.dep_ in SUBJECTS]
    speakers = [word.lower_ for subject in subjects for word in (subject, *subject.children)]
    speaks = bool({"i", "we", "my", "our"} & set(speakers))
    if token.lemma_.lower() in _URGENT and (speaks or any(subject.dep_ == "nsubjpass" for subject in subjects)):
        return True
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
