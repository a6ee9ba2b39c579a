"""Flag texts with several questions, because they have several answers but one mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthreason.questions.checks.base import REQUESTS, Check, each_question
from earthreason.questions.language import parse

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

_ASKING = frozenset("where what which who whom whose why when how whether".split())
_ADDING = frozenset(("and", "or", "also", "then", "but", "plus", "alternatively", "additionally", ";", ".", "?", "!"))
_PAUSES = frozenset((",", ":", "-", "–", "—"))
"""After these a question may still be the one that a request announced: tell me, where ..."""
_PREPOSITIONS = frozenset("at by for from in of on to with".split())
_EXPLAINING = frozenset("count describe estimate explain give justify measure provide say state".split())
_SUPPOSING = frozenset("compare consider imagine let look please suppose".split())
"""Requests that only prepare a question."""
_ASIDE = frozenset(("relcl", "acl", "advcl"))
_SUBJECTS = frozenset(("nsubj", "nsubjpass", "expl", "csubj"))


def _objection(question: str) -> str | None:
    if question.count("?") > 1:
        return f"{question.count('?')} question marks"
    second = _second(parse(question))
    return f"asks a second question: {second!r}" if second else None


def _second(doc: Doc) -> str | None:
    """Return the first words of a second question or request."""
    asked: Token | None = None
    announced = False
    for token in doc:
        if not token.is_alpha:
            continue
        request = _opens_request(token)
        opens = request or _opens_question(token)
        if asked is not None and _asks_for_both(token):
            return doc[token.i : token.i + 4].text
        still_first = token.pos_ == "AUX" and asked is not None and _verb_of(token) == _verb_of(asked)
        if asked is not None and opens and not still_first:
            joint = _joint_before(token)
            if joint in _ADDING or (joint in _PAUSES and not announced):
                return doc[token.i : token.i + 4].text
        if asked is None and (opens or token.lower_ in _ASKING):
            asked, announced = token, request
    return None


def _joint_before(token: Token) -> str | None:
    """Return the conjunction or mark before a word or before its preposition, as in `and from where`."""
    before = [word.lower_ for word in token.doc[max(0, token.i - 2) : token.i]]
    if len(before) > 1 and before[-1] in _PREPOSITIONS:
        before.pop()
    return before[-1] if before else None


def _verb_of(token: Token) -> Token:
    """Return the verb that a question word or an auxiliary belongs to."""
    if token.pos_ in ("VERB", "AUX"):
        return token.head if token.dep_ in ("aux", "auxpass") else token
    return next((word for word in token.ancestors if word.pos_ in ("VERB", "AUX")), token)


def _opens_question(token: Token) -> bool:
    """Tell whether a word opens a question: a question word of the main clause, or a verb before its subject."""
    if token.lower_ not in _ASKING:
        inflected = token.pos_ == "AUX" and token.tag_ in ("VBZ", "VBP", "VBD", "MD")
        return inflected and _has_later_subject(token)
    after = token.nbor() if token.i + 1 < len(token.doc) else None
    if after is None or after.text in ("?", ".") or (after.pos_ == "AUX" and _has_later_subject(after)):
        return True  # ... and why?
    if token.i and token.nbor(-1).text == ";":
        return True  # no relative clause follows it
    return not any(
        word.dep_ in _ASIDE or (word.dep_ == "ccomp" and word.head.lemma_.lower() not in REQUESTS)
        for word in (token, *token.ancestors)
    )


def _has_later_subject(auxiliary: Token) -> bool:
    """Tell whether the subject follows its auxiliary at once, as in questions."""
    verbs = {auxiliary, _verb_of(auxiliary)}
    if any(child.dep_ in _SUBJECTS and child.i < auxiliary.i for verb in verbs for child in verb.children):
        return False
    later = (word for word in auxiliary.doc[auxiliary.i + 1 :] if word.left_edge.i == auxiliary.i + 1)
    return any(word.dep_ in (*_SUBJECTS, "attr") for word in later)


def _opens_request(token: Token) -> bool:
    if token.lemma_.lower() not in (REQUESTS | _EXPLAINING) - _SUPPOSING or token.tag_ not in ("VB", "VBP", "NN", "NNP"):
        return False
    if token.i and token.nbor(-1).is_alpha and token.nbor(-1).lower_ not in _ADDING | {"please"}:
        return False
    return not any(child.dep_ in (*_SUBJECTS, "aux", "mark", "det") and child.i < token.i for child in token.children)


def _asks_for_both(token: Token) -> bool:
    """Tell whether a request adds a second thing: mark the school and the church."""
    if token.dep_ != "conj" or token.head.dep_ not in ("dobj", "pobj", "prep"):
        return False
    verb = token.head.head if token.head.dep_ in ("dobj", "prep") else token.head.head.head
    is_request = verb.lemma_.lower() in REQUESTS and verb.dep_ == "ROOT" and verb.i <= 1
    return is_request and (token.pos_ == "ADP" or any(child.lower_ in ("the", "a", "an") for child in token.children))


CHECK = Check(
    "several questions",
    "A question asks for one thing only.",
    bad=("Where could ships unload, and where would their crews sleep?", "Where could ships unload, and is it deep?"),
    good=("Where could ships unload and take on fuel?",),
    run=each_question("several questions", _objection),
)
