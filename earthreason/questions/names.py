"""Names of a category: its own words, other spellings, synonyms, kinds, and words made from it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthreason.questions.language import all_lemmas, embed, noun_lemmas, parse, word_set

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

_FOLDER = Path(__file__).parent / "checks"
_GENERIC = word_set(
    """
    area block building center centre complex course court facility feature field ground house installation land
    line lot object park path place plant region site space spot station street strip structure surface terrain
    track tract water way work yard zone
    """
)
"""Heads of names that fit many categories."""
_QUANTITIES = word_set(
    """
    array bunch cluster collection couple expanse group grove line number pair part patch piece range row
    section sequence series set stretch strip
    """
)
"""What `of` may follow without being the thing itself: a group of tanks."""
_CARRIERS = word_set("air bus car energy fuel gas ground oil power sea train transport utility water wind")
"""First words of names that many questions about other things need."""
_ENDINGS = word_set(
    """
    bank banks bed beds boat boats borne bound front fronts goer goers head heads house houses keeper keepers man mate
    mates men path paths shore shores side sides ward wards way ways yard yards
    """
)
"""What makes another word from a name: poolside, beachgoers."""
_IDIOMS = frozenset((("keep", "track"), ("lose", "track")))
"""Verbs with an object that means no thing."""
_NOMINAL = ("NOUN", "PROPN", "ADJ")
_CONTENT = ("NOUN", "PROPN", "ADJ", "VERB", "ADV")
_LONGEST_NAME, _SHORTEST_PART = 4, 3


@lru_cache(maxsize=1)
def _wordnet() -> dict[str, dict[str, Any]]:
    """Names and forms of nouns (benchmarks/wordnet.py makes the file)."""
    found: dict[str, dict[str, Any]] = json.loads(gzip.decompress((_FOLDER / "wordnet.json.gz").read_bytes()))
    return found


@lru_cache(maxsize=1)
def _overhead_names() -> dict[str, list[str]]:
    """Other names of categories of overhead images, by category."""
    found: dict[str, list[str]] = json.loads((_FOLDER / "synonyms.json").read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True)
class Names:
    """What a category may be called; names have no spaces or hyphens, so that all spellings are one.

    Attributes:
        own: words of the category and made from them, as any part of speech: golf, golfer, to golf.
        acts: words of the category as verbs only, because the noun is another thing: to park, but not a park.
        other: other names, as nouns only.
        heads: nouns of the category, generic ones too.
    """

    own: frozenset[str]
    acts: frozenset[str]
    other: frozenset[str]
    heads: frozenset[str]

    def find(self, doc: Doc) -> str | None:
        """Return the first words of a text that name the category, or None."""
        return next((named for _, named in self.find_all(doc)), None)

    def find_all(self, doc: Doc) -> Iterator[tuple[Token, str]]:
        """Yield the last word of every name of the category in a text, and the name as it stands there."""
        words = [token for token in doc if token.is_alpha]
        for start in range(len(words)):
            for end in range(min(start + _LONGEST_NAME, len(words)), start, -1):
                run = words[start:end]
                if self._is_named_by(run):
                    yield run[-1], doc[run[0].i : run[-1].i + 1].text
                    break

    def _is_named_by(self, run: list[Token]) -> bool:
        *first, last = run
        if first:
            start = "".join(word.lower_ for word in first)
            return _is_compound(run) and any(start + noun in self.own | self.other for noun in noun_lemmas(last))
        if last.pos_ in _CONTENT and (all_lemmas(last) & self.own or self._is_made_from_own(last.lower_)):
            return (last.head.lemma_, last.lemma_) not in _IDIOMS
        if last.pos_ == "VERB" and all_lemmas(last) & self.acts:
            return True
        follows_article = last.i > 0 and last.nbor(-1).tag_ in ("DT", "WDT")  # what is taken for a verb is a noun then
        return (last.pos_ in _NOMINAL or follows_article) and bool(noun_lemmas(last) & self.other)

    def _is_made_from_own(self, word: str) -> bool:
        ending = next((ending for ending in _ENDINGS if word.endswith(ending)), "")
        return bool(ending) and word.removesuffix(ending) in self.own


def _is_compound(run: list[Token]) -> bool:
    """Tell whether words can be one name: long words of content, with nothing but hyphens between them."""
    return all(len(word) >= _SHORTEST_PART and word.pos_ in _CONTENT for word in run) and all(
        between in run or between.text in "-–/" for between in run[0].doc[run[0].i : run[-1].i]
    )


@lru_cache(maxsize=4096)
def names_of(category: str) -> Names:
    """Collect the names of a category, which may be a phrase such as `a marina with moored boats`."""
    text = " ".join(category.replace("_", " ").lower().split())
    own, acts, other, heads = {_join(text)}, set[str](), set[str](), set[str]()
    curated = set(_overhead_names().get(text, ()))
    for head in _heads(parse(f"There is {text}.")):
        noun = _singular(head)
        first = list(reversed([*takewhile(_is_modifier, _before(head))]))
        phrase = " ".join([*(token.lower_ for token in first), noun])
        known = [" ".join(phrase.split()[k:]) for k in range(len(first) + 1)]
        heads.add(noun)
        for name in known:
            own.add(_join(name)) if " " in name or noun not in _GENERIC else None
            curated.update(_overhead_names().get(name, ()))
            if " " in name or not first:
                other.update(_wordnet().get(name, {}).get("names", ()))
        if noun not in _GENERIC:
            own.update(_wordnet().get(noun, {}).get("forms", ()))
        for token in first:
            entry = _wordnet().get(token.lower_, {})
            tells = token.pos_ in ("NOUN", "PROPN") and noun in _GENERIC
            if (tells and token.lower_ not in _CARRIERS) or entry.get("act"):
                own.add(token.lower_)
                for form in entry.get("forms", ()):
                    is_other_thing = entry.get("act") and "meaning" in _wordnet().get(form, {})
                    (acts if is_other_thing else own).add(form)
    own.discard("")
    other -= _GENERIC
    return Names(frozenset(own), frozenset(acts), frozenset(map(_join, other | curated)) - own, frozenset(heads))


@lru_cache(maxsize=4096)
def meaning_of(category: str) -> str:
    """Return WordNet's definition of a category or of its head; the category itself if there is none."""
    text = " ".join(category.replace("_", " ").lower().split())
    nouns = (text, *sorted(names_of(category).heads))
    return next((entry["meaning"] for noun in nouns if "meaning" in (entry := _wordnet().get(noun, {}))), text)


def describes(text: str, category: str) -> float:
    """Return how alike a text is to a category or to its definition: 1 is the same meaning."""
    meaning = meaning_of(category)
    vector, *targets = embed([text, category, meaning, f"{category}: {meaning}"])
    return max(float(vector @ target) for target in targets)


def _is_modifier(token: Token) -> bool:
    return token.pos_ in _CONTENT and token.dep_ != "ROOT"


def _before(token: Token) -> Iterator[Token]:
    """Yield the words before a word, the nearest first."""
    return (token.doc[place] for place in range(token.i - 1, -1, -1) if token.doc[place].is_alpha)


def _heads(doc: Doc) -> Iterator[Token]:
    """Yield the nouns that a phrase after `There is` is about, with those that `and` adds."""
    verb = next(token for token in doc if token.dep_ == "ROOT")
    found = [token for token in verb.rights if token.dep_ in ("attr", "nsubj", "dobj")]
    chunks = [chunk.root for chunk in doc.noun_chunks if chunk.root.lower_ != "there"]
    for head in found[:1] or chunks[:1]:
        for noun in (head, *head.conjuncts):
            inner = next((word for part in noun.rights if part.lower_ == "of" for word in part.children), None)
            yield inner if inner is not None and _singular(noun) in _QUANTITIES else noun


def _singular(token: Token) -> str:
    nouns = noun_lemmas(token) - {token.lower_}
    return min(nouns, key=len) if nouns else token.lower_


def _join(name: str) -> str:
    return name.lower().replace(" ", "").replace("-", "")
