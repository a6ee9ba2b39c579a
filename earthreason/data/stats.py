"""Compute statistics of a set of samples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from earthreason.data.pictures import mask_of, open_picture
from earthreason.data.reader import read_all
from earthreason.data.sources import Source

PAPER_QUESTION_WORDS, PAPER_ANSWER_WORDS = 20.86, 26.76
"""Mean lengths in words, from the paper (arXiv 2504.09644)."""
PATCH, ALIKE, REDUNDANCY_SIDE = 16, 0.95, 1024
_WORD = re.compile(r"[a-z']+")


@dataclass
class Statistics:
    """Measurements of every sample, in reading order.

    Attributes:
        samples, empty: numbers of samples and of empty targets, by split.
        target_shares: area of the mask as a share of the image, for samples with a target.
        sides: length of the longer side in pixels.
        resolutions: GSD in metres per pixel, where known.
        question_words, answer_words: numbers of words.
        bigrams: counts of word pairs in all questions, in lower case.
        categories: numbers of samples by category, where known.
        redundancy: share of patches that resemble a neighbour, by image; see `patch_redundancy`.
        is_official: whether these are samples of the official release, of which the paper states mean lengths.
    """

    samples: Counter[str] = field(default_factory=Counter)
    empty: Counter[str] = field(default_factory=Counter)
    target_shares: list[float] = field(default_factory=list)
    sides: list[int] = field(default_factory=list)
    resolutions: list[float] = field(default_factory=list)
    question_words: list[int] = field(default_factory=list)
    answer_words: list[int] = field(default_factory=list)
    bigrams: Counter[tuple[str, str]] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    redundancy: list[float] = field(default_factory=list)
    is_official: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return a summary as JSON values."""
        return {
            "samples": dict(self.samples),
            "empty_targets": {split: self.empty[split] for split in self.samples},
            "target_share": summary(self.target_shares),
            "longer_side": summary(self.sides),
            "ground_resolution": summary(self.resolutions),
            "question_words": {**summary(self.question_words), **self._paper(PAPER_QUESTION_WORDS)},
            "answer_words": {**summary(self.answer_words), **self._paper(PAPER_ANSWER_WORDS)},
            "patch_redundancy": summary(self.redundancy),
            "categories": dict(self.categories.most_common()),
            "bigrams": [[" ".join(pair), count] for pair, count in self.bigrams.most_common(20)],
        }

    def _paper(self, mean: float) -> dict[str, float]:
        return {"paper_mean": mean} if self.is_official else {}


def summary(values: Iterable[float]) -> dict[str, float | int | None]:
    """Return number, mean, median, minimum and maximum; None instead of the last four if there are no values."""
    array = np.array(list(values), float)
    if not array.size:
        return {"n": 0, "mean": None, "median": None, "min": None, "max": None}
    numbers = {"mean": array.mean(), "median": np.median(array), "min": array.min(), "max": array.max()}
    return {"n": array.size, **{name: round(float(value), 6) for name, value in numbers.items()}}


def collect(source: Source, progress: Callable[[int], object] = lambda _: None) -> Statistics:
    """Measure every sample of a source."""
    statistics = Statistics()
    for split, record in read_all(source):
        statistics.samples[split] += 1
        statistics.empty[split] += record.is_empty
        if not record.is_empty:
            statistics.target_shares.append(float(mask_of(record.mask, Path(record.sample_id)).mean()))
        statistics.sides.append(max(record.height, record.width))
        if record.ground_resolution is not None:
            statistics.resolutions.append(record.ground_resolution)
        if record.category is not None:
            statistics.categories[record.category] += 1
        for question in record.questions:
            words = _WORD.findall(question.lower())
            statistics.bigrams.update(pairwise(words))
            statistics.question_words.append(len(question.split()))
        statistics.answer_words.extend(len(answer.split()) for answer in record.answers)
        statistics.redundancy.append(patch_redundancy(open_picture(record.image).convert("RGB")))
        progress(1)
    return statistics


def patch_redundancy(image: Image.Image) -> float:
    """Return the share of 16 x 16 patches with a cosine similarity above 0.95 to one of their four neighbours.

    The paper (arXiv 2504.09644) compresses visual tokens because overhead images are redundant. Images are first scaled
    down to at most 1,024 pixels a side, the input size of the model.
    """
    small = image.copy()
    small.thumbnail((REDUNDANCY_SIDE, REDUNDANCY_SIDE))
    pixels = np.asarray(small, np.float32) / 255
    rows, columns = pixels.shape[0] // PATCH, pixels.shape[1] // PATCH
    if rows * columns < 2:
        return 0.0
    patches = pixels[: rows * PATCH, : columns * PATCH].reshape(rows, PATCH, columns, PATCH, 3).swapaxes(1, 2)
    vectors = patches.reshape(rows, columns, -1)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)
    alike = np.zeros((rows, columns), bool)
    beside = (vectors[:, :-1] * vectors[:, 1:]).sum(-1) > ALIKE
    below = (vectors[:-1] * vectors[1:]).sum(-1) > ALIKE
    alike[:, :-1] |= beside
    alike[:, 1:] |= beside
    alike[:-1] |= below
    alike[1:] |= below
    return float(alike.mean())
