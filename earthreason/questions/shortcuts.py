"""Find out how well words alone tell what only the image should tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FOLDS, FEWEST_IMAGES = 5, 10
_RESAMPLES, _SEED, _TELLING = 1000, 0, 6
_RAREST = 3
"""Questions that a word or pair of words must occur in."""


@dataclass(frozen=True)
class Shortcut:
    """How well a bag of words guesses a fact about a question.

    Attributes:
        fact: what is guessed.
        questions: number of questions guessed.
        classes: number of possible answers.
        accuracy: mean over the classes of the share guessed right; `chance` if words tell nothing.
        low, high: 95 % interval of the accuracy, by resampling images.
        chance: accuracy without any knowledge.
        words: words and pairs of words that speak for each class most.
    """

    fact: str
    questions: int
    classes: int
    accuracy: float
    low: float
    high: float
    chance: float
    words: dict[str, list[str]]


def guess_from_words(
    fact: str, questions: Sequence[str], truths: Sequence[str], images: Sequence[str]
) -> Shortcut | None:
    """Guess a fact from the words of each question, with a classifier that has not seen its image.

    A linear classifier on words and pairs of words (TF-IDF) is cross-validated over images. Facts that are true of
    fewer than `FEWEST_IMAGES` images are left out.

    Args:
        fact: name of the fact.
        questions: questions.
        truths: the fact about each question.
        images: image of each question.

    Returns:
        None if fewer than two values of the fact have enough images.
    """
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    holders = Counter(truth for truth, _ in set(zip(truths, images, strict=True)))
    kept = [place for place, truth in enumerate(truths) if holders[truth] >= FEWEST_IMAGES]
    classes, truth = np.unique([truths[place] for place in kept], return_inverse=True)
    if len(classes) < 2:
        return None
    texts = np.array([questions[place] for place in kept])
    groups = np.unique([images[place] for place in kept], return_inverse=True)[1]
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=_SEED)
    guessed = cross_val_predict(_classifier(), texts, truth, groups=groups, cv=folds)
    accuracy, low, high = _balanced_accuracy(truth, guessed == truth, groups)
    words = _telling_words(_classifier().fit(texts, truth), [str(name) for name in classes])
    return Shortcut(fact, len(kept), len(classes), accuracy, low, high, 1 / len(classes), words)


def _classifier() -> Pipeline:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), min_df=_RAREST, sublinear_tf=True)
    return make_pipeline(words, SGDClassifier(loss="log_loss", class_weight="balanced", random_state=_SEED))


def _balanced_accuracy(truth: np.ndarray, right: np.ndarray, groups: np.ndarray) -> tuple[float, float, float]:
    """Return the mean recall of the classes, and its interval by resampling images."""
    shape = (groups.max() + 1, truth.max() + 1)
    asked, answered = np.zeros(shape), np.zeros(shape)  # (images, classes)
    np.add.at(asked, (groups, truth), 1)
    np.add.at(answered, (groups, truth), right)
    drawn = np.random.default_rng(_SEED).multinomial(shape[0], np.full(shape[0], 1 / shape[0]), _RESAMPLES)
    with np.errstate(invalid="ignore"):  # a resample may lack a class
        resampled = np.nanmean((drawn @ answered) / (drawn @ asked), axis=1)  # (resamples,)
    low, high = np.quantile(resampled, (0.025, 0.975))
    return float((answered.sum(0) / asked.sum(0)).mean()), float(low), float(high)


def _telling_words(fitted: Pipeline, classes: list[str]) -> dict[str, list[str]]:
    words = fitted[0].get_feature_names_out()
    weights = fitted[-1].coef_  # (classes, words), or (1, words) for two classes
    rows = np.concatenate([-weights, weights]) if len(classes) == 2 else weights
    return {
        name: [str(words[k]) for k in row.argsort()[::-1][:_TELLING]] for name, row in zip(classes, rows, strict=True)
    }
