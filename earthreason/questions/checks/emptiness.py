"""Flag answers that contradict the presence or absence of a target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from earthreason.questions.checks.base import Check, CheckFinding, QuestionSet
from earthreason.questions.language import noun_lemmas, parse, word_set
from earthreason.questions.names import describes, names_of

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

_ANYTHING = word_set(
    """
    answer anything area building candidate example facility feature instance kind location match object one
    part none nothing place region sign site spot structure target thing
    """
)
"""What stands for the target where it is not named."""
_BEING = word_set(
    """
    appear be build construct contain detect discern exist feature find give have hold identify include locate
    make observe occur offer recognize recognise see seem show spot
    """
)
_FITTING = word_set("answer correspond exist fit look match meet qualify resemble satisfy serve suit")
_PRESENT = word_set("available here present there visible")
_LACKING = frozenset(("absent", "missing", "nonexistent"))
_EMPTY = frozenset(("bare", "devoid", "empty", "free"))
_LEAST_ALIKE = 0.36
"""Similarity to the category's definition from which a denied phrase describes it: no strip for planes to land on."""
_EXCEPT = frozenset(("besides", "but", "else", "except", "other"))
_ASIDE = frozenset(("advcl", "relcl", "acl"))


def _run(asked: QuestionSet) -> Iterator[CheckFinding]:
    for answer in asked.answers:
        says_nothing = any(_says_nothing(parse(answer), name) for name in asked.names or (None,))
        if asked.is_empty and not says_nothing:
            yield CheckFinding(CHECK.name, asked.sample_id, answer, "names a target, but the target is empty")
        elif not asked.is_empty and says_nothing:
            yield CheckFinding(CHECK.name, asked.sample_id, answer, "says that nothing is there, but there is a target")


def _says_nothing(doc: Doc, category: str | None) -> bool:
    """Tell whether a text denies that the target is there; what it denies of the surroundings does not count."""
    names = names_of(category) if category else None
    named = {token.i for token, _ in names.find_all(doc)} if names else set[int]()

    def is_target(token: Token) -> bool:
        if any(child.lower_ in _EXCEPT for child in token.children):
            return False
        nouns = [token, *(word for word in token.conjuncts if word.pos_ in ("NOUN", "PROPN"))]
        if any(noun.i in named or (names and noun_lemmas(noun) & names.heads) for noun in nouns):
            return True
        if not _denies_all(token):
            return False
        # A text that names the target as there speaks of something else here: no waves in the harbour.
        phrase = {word.i for word in token.subtree}
        there = any(place not in phrase or _is_known(doc[place]) for place in named)
        noun = token.pos_ in ("NOUN", "PROPN")
        if category and noun and not there and describes(_phrase(token), category) >= _LEAST_ALIKE:
            return True
        return bool({token.lower_, token.lemma_.lower()} & _ANYTHING)

    return any(is_target(_antecedent(token)) for token in _denied(doc))


def _phrase(noun: Token) -> str:
    return " ".join(
        word.text for word in noun.subtree if word.is_alpha and word.lower_ not in ("a", "any", "no", "the")
    )


def _antecedent(token: Token) -> Token:
    """Return the noun that a relative pronoun stands for, or the word itself."""
    clause = next((word for word in token.ancestors if word.dep_ == "relcl"), None)
    return clause.head if token.tag_ in ("WDT", "WP") and clause is not None else token


def _is_aside(token: Token) -> bool:
    """Tell whether a word stands in a clause about something else: `since nothing shades it`, `which has no roof`."""
    return any(word.dep_ in _ASIDE for word in (token, *token.ancestors))


def _is_compared(token: Token) -> bool:
    """Tell whether what a text denies is only less than something else: no place is better suited than the beach."""
    later = token.doc[token.i + 1 :]
    than = next((word.i for word in later if word.lower_ == "than"), 0)
    return any(word.tag_ in ("JJR", "RBR") for word in later if word.i < than)


def _denied(doc: Doc) -> Iterator[Token]:
    """Yield the nouns whose presence a text denies."""
    for token in doc:
        word, head = token.lower_, token.head
        before = token.nbor(-1).lower_ if token.i else ""
        if word in ("nobody", "nowhere") or (word == "one" and before == "no"):
            yield from _arguments(head)
        elif (
            word in ("no", "neither", "nor") and token.dep_ in ("det", "preconj", "neg", "cc") and head.lower_ != "one"
        ):
            yield head
        elif word in ("nothing", "none"):
            yield from _standing_for(token)
        elif word == "unable" or token.lemma_ in ("exclude", "fail") or (word == "out" and head.lemma_ == "rule"):
            yield from _arguments(head if word == "out" else token)
        elif word == "without" or (word in ("of", "than") and before in ("instead", "rather")):
            nouns = (child for child in token.children if child.dep_ in ("pobj", "pcomp"))
            yield from (noun for noun in nouns if noun.tag_ != "WDT" and not _is_known(noun))
        elif token.lemma_ == "lack" and token.pos_ == "VERB":
            yield from (child for child in token.children if child.dep_ == "dobj")
        elif word == "vain":
            yield from (word for word in doc if word.dep_ in ("dobj", "pobj"))
        elif word == "too" and token.dep_ == "advmod":
            yield from (noun for verb in head.children if verb.lemma_ in _BEING for noun in _arguments(verb))
        elif token.lemma_ == "lack" or word in _EMPTY:
            yield from _after_of(token)
        elif word in _LACKING:
            yield from _arguments(token if token.pos_ == "VERB" else head)
        elif word in ("not", "n't", "never"):
            yield from _denied_by_not(token)


def _is_known(noun: Token) -> bool:
    """Tell whether a noun means something that is there: the pier, its roof."""
    return any(child.lower_ == "the" or child.dep_ == "poss" for child in noun.children)


def _denies_all(token: Token) -> bool:
    """Tell whether `nothing` or `no place` is what can be seen or what fits, and not what happens to something else."""
    if any(word.lower_ in _EXCEPT for word in token.subtree) or _is_aside(token) or _is_compared(token):
        return False
    verb = next((word for word in token.ancestors if word.pos_ in ("VERB", "AUX")), None)
    if verb is None:
        return True
    states = [child.lower_ for child in verb.children if child.dep_ == "acomp"]
    exists = verb.lemma_ in _BEING | _FITTING or verb.lower_ in _LACKING
    return exists and set(states) <= _PRESENT | _LACKING


def _standing_for(token: Token) -> Iterator[Token]:
    """Yield `nothing` or `none`, and the nouns of which it is said: none of the ships, nothing is a ship."""
    yield token
    if _denies_all(token):
        yield from (word for word in token.subtree if word.dep_ == "pobj")
        yield from (child for child in token.head.children if child.dep_ == "attr")


def _denied_by_not(token: Token) -> Iterator[Token]:
    verb = token.head
    if verb.pos_ in ("NOUN", "PROPN", "DET", "NUM", "ADJ") and token.nbor().lower_ in ("a", "one", "any", "single"):
        yield verb if verb.pos_ in ("NOUN", "PROPN") else verb.head  # not a single ship
        return
    if verb.pos_ == "AUX" and verb.dep_ in ("aux", "auxpass"):
        verb = verb.head
    able = next((child for child in verb.children if child.lower_ in ("able", "possible")), None)
    if able is not None:
        yield from _arguments(able)
        return
    if verb.lemma_ not in _BEING | _FITTING:
        return
    if verb.lemma_ == "be":
        states = [child for child in verb.children if child.dep_ in ("acomp", "advmod") and child.lower_ in _PRESENT]
        exists = any(child.dep_ == "expl" for child in verb.children)
        among = {child.dep_ for child in verb.children} & {"prep", "acomp", "attr"} == {"prep"}
        known = any(_is_known(child) for child in verb.children if child.dep_ == "nsubj")
        if not (states or exists or (among and not known)):
            return
    yield from _arguments(verb)


def _arguments(verb: Token) -> Iterator[Token]:
    """Yield what a verb says to be seen or had, or else to be: its objects, or else its subjects."""
    verb = verb if verb.pos_ in ("VERB", "AUX", "ADJ") else verb.head
    verbs = [verb, *(child for child in verb.children if child.dep_ == "xcomp")]
    objects = [child for word in verbs for child in word.children if child.dep_ in ("dobj", "attr", "oprd")]
    yield from objects or (child for child in verb.children if child.dep_ in ("nsubj", "nsubjpass"))


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
