"""Flag texts with several questions, because they have several answers but one mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthreason.questions.checks.base import REQUESTS, SUBJECTS, Check, each_question
from earthreason.questions.language import parse, word_set

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

_ASKING = word_set("where what which who whom whose why when how whether")
_ADDING = frozenset(("and", "or", "also", "then", "but", "plus", "alternatively", "additionally", ";", ".", "?", "!"))
_PAUSES = frozenset((",", ":", "-", "–", "—"))
"""After these a question may still be the one that a request announced: tell me, where ..."""
_PREPOSITIONS = word_set("at by for from in of on to with")
_EXPLAINING = word_set("count describe estimate explain give justify measure provide say state")
_SUPPOSING = word_set("compare consider imagine let look please suppose")
"""Requests that only prepare a question."""
_WEIGHING = word_set("determine estimate judge measure rank")
"""Requests before the one that matters: rank the candidates and mark the first."""
_CHOOSING = word_set("draw highlight ignore pick rank segment shade take trace")
_ASIDE = frozenset(("relcl", "acl", "advcl", "pcomp"))
_REPORTED = frozenset(("ccomp", "xcomp"))


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
        still_first = asked is not None and _goes_with(token, asked)
        if asked is not None and opens and not still_first:
            joint = _joint_before(token)
            if request and _narrows(token):
                continue
            if joint in _ADDING or (joint in _PAUSES and not announced):
                return doc[token.i : token.i + 4].text
        if asked is None and opens and not (request and _only_prepares(token)):
            asked, announced = token, request
    return None


def _goes_with(auxiliary: Token, asked: Token) -> bool:
    """Tell whether an auxiliary belongs to a question word: which area, along the road, would ..."""
    if auxiliary.pos_ != "AUX":
        return False
    between = asked.doc[asked.i + 1 : auxiliary.i]
    is_first = asked.lower_ in _ASKING and not any(word.pos_ in ("AUX", "VERB") for word in between)
    return is_first or _verb_of(auxiliary) == _verb_of(asked)


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
        inflected = inflected and not (token.i and token.nbor(-1).lower_ == "here")  # here is a question
        asks = token.sent.text.rstrip().endswith("?")  # should there be several, take ...: a condition
        return inflected and asks and _has_later_subject(token)
    after = [*token.doc[token.i + 1 : token.i + 4]]
    if not after or after[0].text in ("?", "."):
        return True  # ... and why?
    if any(word.pos_ == "AUX" and _has_later_subject(word) for word in after):
        return True
    if _is_told(token):
        return False
    if token.i == 0 and (token.lower_ not in ("when", "where") or after[0].pos_ == "AUX"):
        return True
    if token.i and token.nbor(-1).text == ";":
        return True  # no relative clause follows it
    if token.is_sent_start and not token.sent.text.rstrip().endswith("?"):
        return False  # where there are several, take ...
    follows_noun = token.i > 1 and token.nbor(-1).pos_ == "ADP" and token.nbor(-2).pos_ in ("NOUN", "PRON")
    return not follows_noun and not _is_aside(token)


def _is_aside(token: Token) -> bool:
    """Tell whether a word stands in a clause that asks nothing: where relative, or in how somebody learns to do it."""
    return any(
        word.dep_ in _ASIDE or (word.dep_ in _REPORTED and word.head.lemma_.lower() not in REQUESTS)
        for word in (token, *token.ancestors)
    )


def _is_told(token: Token) -> bool:
    """Tell whether a question word stands in a statement about others: he remembers how, they find out where."""
    if token.is_sent_start or token.sent.text.rstrip().endswith("?"):
        return False
    subjects = [child for child in token.sent.root.children if child.dep_ in SUBJECTS and child.i < token.i]
    return any(subject.lower_ not in ("i", "we", "you") for subject in subjects)


def _has_later_subject(auxiliary: Token) -> bool:
    """Tell whether the subject follows its auxiliary at once, as in questions."""
    verbs = {auxiliary, _verb_of(auxiliary)}
    if any(child.dep_ in SUBJECTS and child.i < auxiliary.i for verb in verbs for child in verb.children):
        return False
    later = (word for word in auxiliary.doc[auxiliary.i + 1 :] if word.left_edge.i == auxiliary.i + 1)
    return any(word.dep_ in (*SUBJECTS, "attr") for word in later)


def _opens_request(token: Token) -> bool:
    if token.lemma_.lower() not in (REQUESTS | _EXPLAINING) - _SUPPOSING or token.tag_ not in (
        "VB",
        "VBP",
        "NN",
        "NNP",
    ):
        return False
    if token.i and token.nbor(-1).is_alpha and token.nbor(-1).lower_ not in _ADDING | {"please"}:
        return False
    told = token.i + 1 < len(token.doc) and token.nbor().lower_ in ("me", "us")
    if (_is_aside(token) or _is_purpose(token)) and not told:
        return False
    if token.lower_ == "give" and (token.i + 1 == len(token.doc) or token.nbor().pos_ not in ("DET", "PRON")):
        return False  # give way
    return not any(child.dep_ in (*SUBJECTS, "aux", "mark", "det") and child.i < token.i for child in token.children)


def _is_purpose(token: Token) -> bool:
    """Tell whether a verb goes on with an infinitive: learn to walk past it, read the labels and find the exit."""
    first = token
    while first.dep_ == "conj":
        first = first.head
    return first is not token and any(child.lower_ == "to" and child.dep_ == "aux" for child in first.children)


def _only_prepares(request: Token) -> bool:
    """Tell whether a request asks for nothing yet: choose by size and mark ..."""
    has_object = any(child.dep_ in ("dobj", "ccomp", "dative") for child in request.children)
    return request.lower_ in _WEIGHING or (request.lower_ in ("choose", "pick") and not has_object)


def _narrows(request: Token) -> bool:
    """Tell whether a request only chooses from what is asked for already: take the smallest, mark only that one."""
    if request.lemma_.lower() not in REQUESTS | _CHOOSING | _WEIGHING:
        return False
    rest = request.doc[request.i + 1 :]
    end = next((word.i for word in rest if word.is_punct), len(request.doc))
    after = [word for word in request.doc[request.i + 1 : min(end, request.i + 7)] if word.lower_ not in ("me", "us")]
    if request.lower_ == "measure" and after and after[0].lower_ == "from":
        return True
    nouns = (word for word in after if word.pos_ in ("NOUN", "PROPN"))
    noun = next((word for word in nouns if not word.lower_.endswith(("most", "one", "ones"))), None)
    before = after[: after.index(noun)] if noun is not None else after
    return (
        (noun is None and any(word.tag_ == "JJS" or word.lower_.endswith("most") for word in after))
        or any(word.lower_ in ("one", "ones", "whichever", "it", "them", "rest", "others") for word in before)
        or (noun is not None and any(word.lower_ in ("such", "that", "this", "same") for word in before))
        or any(word.lower_ in ("kind", "sort") for word in after)
    )


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
