"""Attacks on a hidden split, from the submitter's side: what to send, and what to read off the answer.

An attack sees the public facts of the split (IDs, sizes, and the categories that the images show anyway) and the
answers. The tests hold the truth, and measure what the attack has learnt of it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from earthreason.masks.rle import decode_rle, empty_rle, encode_mask
from earthreason.metrics.references import Reference, References

CATEGORIES, EACH, SIDE = 28, 66, 32
"""About the size of the official test split: 1,928 images in 28 categories."""


def make_regions(seed: int = 0, categories: int = CATEGORIES, each: int = EACH, side: int = SIDE) -> References:
    """A split whose targets are rectangles of random size at random places; one image in 27 has none."""
    rng = np.random.default_rng(seed)
    references = []
    for n in range(categories * each):
        mask = np.zeros((side, side), bool)
        if n % 27:
            height, width = rng.integers(3, side - 2, 2)
            top, left = rng.integers(0, side - height), rng.integers(0, side - width)
            mask[top : top + height, left : left + width] = True
        references.append(Reference(f"region_{n:04d}", encode_mask(mask), category=f"class {n % categories:02d}"))
    return References(references, "regions")


def as_file(masks: Mapping[str, np.ndarray], references: References) -> bytes:
    """A predictions file with these masks, and "no target" for every other image."""
    predictions = []
    for reference in references.values():
        mask = masks.get(reference.sample_id)
        segmentation = empty_rle(reference.height, reference.width) if mask is None else encode_mask(mask)
        predictions.append({"sample_id": reference.sample_id, "segmentation": segmentation})
    return json.dumps(predictions).encode()


@dataclass(frozen=True)
class AreaAttack:
    """Fill one whole image of every category and leave the others empty.

    The filled image's IoU is then the share of it that its target covers, and every other image of the category adds
    a whole 0 or 1. So the fraction that is left of the category's gIoU, times its images, is the area.
    """

    references: References
    turn: int

    @property
    def filled(self) -> dict[str, str]:
        """The image that is filled, by category."""
        chosen: dict[str, list[str]] = {}
        for reference in self.references.values():
            chosen.setdefault(str(reference.category), []).append(reference.sample_id)
        return {category: names[1 + self.turn] for category, names in chosen.items()}

    def file(self) -> bytes:
        names = self.filled.values()
        full = {name: np.ones((SIDE, SIDE), bool) for name in names}
        return as_file(full, self.references)

    def read(self, result: Mapping) -> dict[str, float]:
        """Estimate the areas of the filled images, as shares of the image, from all that the answer says."""
        areas = {}
        cells = result["protocols"]["segearth-r1"]["scores"]
        for category, name in self.filled.items():
            cell = cells.get(f"category: {category}", {}).get("gIoU")
            if cell is not None:
                areas[name] = (cell[0] * EACH) % 1.0
        return areas


def true_area(references: References, name: str) -> float:
    return float(decode_rle(references[name].segmentation).mean())


def recovered(references: References, areas: Mapping[str, float], within: float = 0.0033) -> int:
    """Count the areas that are known to a third of a per cent of the image."""
    return sum(abs(true_area(references, name) - area) <= within for name, area in areas.items())


def mutual_information(labels: Sequence[object], answers: Sequence[object]) -> float:
    """Bits that the answers tell of the labels, by the frequencies of what was seen (plug-in estimate)."""
    both, one, other = Counter(zip(labels, answers, strict=True)), Counter(labels), Counter(answers)
    total = len(labels)
    return sum(n / total * math.log2(n * total / (one[label] * other[answer])) for (label, answer), n in both.items())


def entropy(answers: Sequence[object]) -> float:
    """Bits of the answers by their frequencies: the most that anyone can learn from them."""
    counts = Counter(answers).values()
    return -sum(n / len(answers) * math.log2(n / len(answers)) for n in counts)
