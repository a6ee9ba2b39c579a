"""Measure the questions of a whole set: diversity, balance, and shortcuts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from earthreason.questions.checks import QuestionSet
from earthreason.questions.checks.base import words_of
from earthreason.questions.shortcuts import Shortcut, guess_from_words

MOST_COMPARED = 5000
"""Questions whose nearest neighbours are looked for."""
_OPENING, _SHOWN_OPENINGS = 3, 10
_NEAREST_BINS = 40
_EMPTINESS = ("with target", "empty")


@dataclass(frozen=True)
class Shares:
    """How a fact is spread over images.

    Attributes:
        counts: number of images by value, the most frequent first.
        evenness: entropy as a share of the greatest possible one: 1 if all values are equally frequent.
        largest: share of the most frequent value.
    """

    counts: dict[str, int]
    evenness: float | None
    largest: float | None


@dataclass(frozen=True)
class SetMeasures:
    """Measures of all questions of a set; None where there are too few.

    Attributes:
        distinct: number of different runs of 1, 2 and 3 words, as a share of all runs (arXiv 1510.03055).
        openings: commonest first three words, with their shares of the questions.
        different_openings: number of different first three words.
        nearest: mean similarity of a question to the one most like it about another image: 1 is the same meaning.
        nearest_counts: numbers of questions by that similarity, in `_NEAREST_BINS` equal steps from 0 to 1.
        vendi: effective number of different meanings (Vendi score, arXiv 2210.02410).
        categories: images by category.
        reasoning_types: images by type of reasoning, where the source states it.
        emptiness: images with and without a target.
        shortcuts: what words alone tell.
    """

    distinct: list[float | None]
    openings: list[tuple[str, float]]
    different_openings: int
    nearest: float | None
    nearest_counts: list[int]
    vendi: float | None
    categories: Shares
    reasoning_types: Shares
    emptiness: Shares
    shortcuts: list[Shortcut]

    def to_dict(self) -> dict[str, Any]:
        """Convert the measures to JSON values."""
        return asdict(self)


def measure_set(
    sets: Sequence[QuestionSet],
    vectors: np.ndarray,  # (questions, width) of length 1
    reasoning_types: Iterable[str | None] = (),
) -> SetMeasures:
    """Measure the questions of a set.

    Args:
        sets: texts by image.
        vectors: meaning of each question, in order (`language.embed`).
        reasoning_types: type of reasoning of each image.
    """
    asked = [(question, texts) for texts in sets for question in texts.questions]
    words = [words_of(question) for question, _ in asked]
    openings = Counter(" ".join(line[:_OPENING]) for line in words)
    images = np.array([number for number, texts in enumerate(sets) for _ in texts.questions])
    nearest = nearest_alike(vectors, images)
    return SetMeasures(
        [_distinct(words, n) for n in (1, 2, 3)],
        [(opening, count / len(asked)) for opening, count in openings.most_common(_SHOWN_OPENINGS)],
        len(openings),
        float(nearest.mean()) if len(nearest) else None,
        np.histogram(nearest.clip(0, 1), bins=_NEAREST_BINS, range=(0, 1))[0].tolist(),
        vendi_score(vectors),
        spread(texts.category for texts in sets),
        spread(reasoning_types),
        spread(_EMPTINESS[texts.is_empty] for texts in sets),
        _shortcuts(asked),
    )


def _shortcuts(asked: list[tuple[str, QuestionSet]]) -> list[Shortcut]:
    facts: dict[str, Callable[[QuestionSet], str | None]] = {
        "emptiness": lambda texts: _EMPTINESS[texts.is_empty],
        "category": lambda texts: texts.category,
    }
    guessed = []
    for fact, of in facts.items():
        rows = [(question, of(texts), texts.sample_id) for question, texts in asked if of(texts)]
        guessed.append(guess_from_words(fact, *zip(*rows, strict=True)) if rows else None)
    return [shortcut for shortcut in guessed if shortcut is not None]


def nearest_alike(vectors: np.ndarray, images: np.ndarray) -> np.ndarray:  # (compared questions,)
    """Return how alike each question is to the one about another image that is most like it.

    Of a large set, `MOST_COMPARED` questions in equal steps are compared with all.
    """
    if len(set(images.tolist())) < 2:
        return np.zeros(0)
    step = max(1, len(vectors) // MOST_COMPARED)
    found = []
    for start in range(0, len(vectors), step * 512):
        rows = np.arange(start, min(start + step * 512, len(vectors)), step)
        alike = vectors[rows] @ vectors.T  # (rows, questions)
        alike[images[rows][:, None] == images] = -1
        found.append(alike.max(1))
    return np.concatenate(found)


def vendi_score(vectors: np.ndarray) -> float | None:
    """Return the effective number of different meanings: 1 if all texts mean the same."""
    if not len(vectors):
        return None
    weights = np.linalg.eigvalsh(vectors.T.astype(np.float64) @ vectors / len(vectors))
    weights = weights[weights > 1e-12]
    return float(np.exp(-(weights * np.log(weights)).sum()))


def spread(values: Iterable[str | None]) -> Shares:
    """Count values, without None, and tell how even their frequencies are."""
    counts = Counter(value for value in values if value)
    total = counts.total()
    if not total:
        return Shares({}, None, None)
    shares = np.array(list(counts.values())) / total
    evenness = float(-(shares * np.log(shares)).sum() / np.log(len(counts))) if len(counts) > 1 else None
    return Shares(dict(counts.most_common()), evenness, float(shares.max()))


def _distinct(lines: list[list[str]], n: int) -> float | None:
    grams = [tuple(line[k : k + n]) for line in lines for k in range(len(line) - n + 1)]
    return len(set(grams)) / len(grams) if grams else None
