"""Flag answers that contradict the presence or absence of a target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from earthreason.questions.checks.base import Check, CheckFinding, QuestionSet
from earthreason.questions.language import noun_lemmas, parse
from earthreason.questions.names import Names, names_of

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

_ANYTHING = frozenset(
    """answer anything area building candidate example facility feature instance kind location match object one part
    none nothing place region sign site spot structure target thing""".split()
)
"""What stands for the target where it is not named."""
_BEING = frozenset(
    """appear be contain detect discern exist feature find give have hold identify include locate make observe occur
    offer recognize recognise see show spot""".split()
)
_FITTING = frozenset("answer correspond exist fit match meet qualify satisfy serve suit".split())
_PRESENT = frozenset("available here present there visible".split())
_LACKING = frozenset(("absent", "missing", "nonexistent"))
_EMPTY = frozenset(("bare", "devoid", "empty", "free"))
_EXCEPT = frozenset(("but", "except", "other", "besides"))
_ASIDE = frozenset(("advcl", "relcl", "acl"))
_ARGUMENTS = ("dobj", "nsubj", "nsubjpass", "attr", "oprd")


def _run(asked: QuestionSet) -> Iterator[CheckFinding]:
    names = names_of(asked.category) if asked.category else None
    for answer in asked.answers:
        says_nothing = _says_nothing(parse(answer), names)
        if asked.is_empty and not says_nothing:
            yield CheckFinding(CHECK.name, asked.sample_id, answer, "names a target, but the target is empty")
        elif not asked.is_empty and says_nothing:
            yield CheckFinding(CHECK.name, asked.sample_id, answer, "says that nothing is there, but there is a target")


def _says_nothing(doc: Doc, names: Names | None) -> bool:
    """Tell whether a text denies that the target is there; what it denies of the surroundings does not count."""
    named = {token.i for token, _ in names.find_all(doc)} if names else set()

    def is_target(token: Token) -> bool:
        nouns = [token, *token.conjuncts]
        if any(child.lower_ in _EXCEPT for noun in nouns for child in noun.children):
            return False
        if any(noun.i in named or (names and noun_lemmas(noun) & names.heads) for noun in nouns):
            return True
        return _is_aside(token) is False and bool({token.lower_, token.lemma_.lower()} & _ANYTHING)

    return any(is_target(token) for token in _denied(doc))


def _is_aside(token: Token) -> bool:
    """Tell whether a word stands in a clause about something else: `since nothing shades it`, `which has no roof`."""
    return any(word.dep_ in _ASIDE for word in (token, *token.ancestors))


def _denied(doc: Doc) -> Iterator[Token]:
    """Yield the nouns whose presence a text denies."""
    for token in doc:
        word, head = token.lower_, token.head
        if word in ("no", "neither", "nor") and token.dep_ in ("det", "preconj", "neg", "cc"):
            yield head
        elif word in ("nothing", "none") and _denies_all(token):
            yield from _standing_for(token)
        elif word == "without":
            yield from (child for child in token.children if child.dep_ == "pobj")
        elif word == "nowhere":
            yield from _arguments(head)
        elif token.lemma_ == "lack" and token.pos_ == "VERB":
            yield from (child for child in token.children if child.dep_ == "dobj")
        elif token.lemma_ == "lack":
            yield from _after_of(token)
        elif word in _LACKING:
            yield from _arguments(token if token.pos_ == "VERB" else head)
        elif word in _EMPTY:
            yield from _after_of(token)
        elif word in ("not", "n't", "never"):
            yield from _denied_by_not(token)


def _denies_all(token: Token) -> bool:
    if any(word.lower_ in _EXCEPT for word in token.subtree) or _is_aside(token):
        return False
    verb = next((word for word in token.ancestors if word.pos_ in ("VERB", "AUX")), None)
    return verb is None or verb.lemma_ in _BEING | _FITTING


def _standing_for(token: Token) -> Iterator[Token]:
    """Yield the word of `_ANYTHING` that `nothing` or `none` means, which is itself."""
    yield from (word for word in token.subtree if word.dep_ == "pobj")
    yield token


def _denied_by_not(token: Token) -> Iterator[Token]:
    verb = token.head
    if verb.pos_ in ("NOUN", "PROPN", "DET", "NUM", "ADJ") and token.nbor().lower_ in ("a", "one", "any", "single"):
        yield verb if verb.pos_ in ("NOUN", "PROPN") else verb.head  # not a single ship
        return
    if verb.pos_ == "AUX" and verb.dep_ in ("aux", "auxpass"):
        verb = verb.head
    if verb.lemma_ not in _BEING | _FITTING:
        return
    if verb.lemma_ == "be":
        states = [child for child in verb.children if child.dep_ in ("acomp", "advmod") and child.lower_ in _PRESENT]
        exists = any(child.dep_ == "expl" for child in verb.children)
        among = any(child.dep_ == "prep" for child in verb.children) and not any(
            child.dep_ in ("acomp", "attr") for child in verb.children
        )
        if not (states or exists or among):
            return
    yield from _arguments(verb)


def _arguments(verb: Token) -> Iterator[Token]:
    verb = verb if verb.pos_ in ("VERB", "AUX") else verb.head
    yield from (child for child in verb.children if child.dep_ in _ARGUMENTS)


def _after_of(token: Token) -> Iterator[Token]:
    for part in token.children:
        if part.lower_ in ("of", "any"):
            yield from (child for child in part.children if child.dep_ == "pobj")


CHECK = Check(
    "emptiness",
    "An answer denies that the target is there if, and only if, the target is empty.",
    bad=("There is no such place here. (with a target)",),
    good=("It is the pier, as no waves reach it. (with a target)",),
    run=_run,
)
