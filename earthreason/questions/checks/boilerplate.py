"""Flag stock phrases of language models."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from earthreason.questions.checks.base import PICTURES, Check, each_text
from earthreason.questions.language import parse, word_set

if TYPE_CHECKING:
    from spacy.tokens import Span, Token

_NUMBERED = re.compile(r"^\W*(?:\d{1,2}|[a-h]|[ivx]{1,4})[.):]\s|^\s*[-*•–—#>]+\s|\*\*|^\W*\w?\d+\.\s", re.M)
_LABEL = re.compile(
    r"^\W*(?:[\w-]+\s){0,3}(?:questions?|q|prompt|query|rewording|rewrite|example|option)\s?\d*\s?[:.–—-]\s"
    r"|^\W*(?:[\w-]+\s){0,3}(?:answers?|reply|response|explanation|reason|reasoning|target)\s?\d*\s?:\s|^\W*a\d*\s?[:.]\s"
)
_TALK = re.compile(
    r"\b(?:as an ai|language model|i (?:cannot|can't|can not) (?:help|assist|provide|answer|see)|i'?m sorry"
    r"|i apologi[sz]e|here(?:'s| is| are) (?:a|an|the|one|some|another|your|my)\b|here (?:you|it|we) goe?s?\b"
    r"|hope (?:this|that|it) helps|let's see\b|let me (?:think|try|see[:,])|(?:happy|glad) to help"
    r"|step[\s-]by[\s-]step|note that|i would ask|feel free)\b"
)
_CHATTY = word_set(
    """
    absolutely alright certainly course definitely fine good gladly great idea nice no of ok okay one perfect
    please problem question right sure thank thanks thing understood well yes you
    """
)
_NODS = _CHATTY - word_set("course fine good idea nice no of one please question right thing well you")
_SHOWN = word_set(
    """
    above aerial attached below displayed given input overhead provided remote satellite sensed sensing shown
    uploaded
    """
)
_VIEWS = ("perspective", "scene", "view")
"""Words for the image if something says so: the aerial view."""
_MAKING = word_set("draw frame hang make paint print sell shoot snap take")


def _objection(question: str) -> str | None:
    talk = _objection_to_talk(question)
    picture = None if talk else next((token for token in parse(question) if _is_the_picture(token)), None)
    return f"speaks of the {picture.text}" if picture is not None else talk


def _objection_to_talk(text: str) -> str | None:
    text = text.lower().replace("’", "'")
    for pattern in (_NUMBERED, _LABEL, _TALK):
        match = pattern.search(text)
        if match:
            return f"stock phrase: {match[0].strip()!r}"
    opening, mark, rest = re.split(r"([,.!:])", text, maxsplit=1) if re.search(r"[,.!:]", text) else (text, "", "")
    words = re.findall(r"[a-z']+", opening)
    if rest.strip() and words and set(words) <= _CHATTY and _NODS.union(("course",)) & set(words):
        return f"stock phrase: {opening + mark!r}"
    return None


def _is_the_picture(token: Token) -> bool:
    """Tell whether a word means the image that the question is about, not one that somebody takes."""
    lemma = token.lemma_.lower()
    if token.pos_ not in ("NOUN", "PROPN") or lemma not in (*PICTURES, *_VIEWS) or token.head.lemma_ in _MAKING:
        return False
    if any(child.dep_ == "poss" for child in token.children):
        return False  # the town's image
    before = {word.lower_ for word in _phrase(token)}
    if before & _SHOWN:
        return True
    if lemma in _VIEWS:
        return False
    of_something = any(child.lower_ == "of" for child in token.children)
    return bool(before & {"the", "this", "that"}) and not of_something


def _phrase(token: Token) -> Span:
    doc, edge = token.doc, min(token.left_edge.i, token.i - 1)
    return doc[max(0, edge, token.i - 6) : token.right_edge.i + 1]


CHECK = Check(
    "boilerplate",
    "A question or answer has no list number, chatty opening or other stock phrase, and a question does not speak of "
    "the image it is about.",
    bad=("In this image, where could ships unload?", "Sure! Where could ships unload?", "2. Where could ships unload?"),
    good=("Where could ships unload?", "Where would tourists take a picture of ships?"),
    run=each_text("boilerplate", _objection, _objection_to_talk),
)
