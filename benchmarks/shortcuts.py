"""Check that synthetic scenes cannot be answered without reading the question, nor emptiness guessed from its words.

    python benchmarks/shortcuts.py [--n 2000] [--seed 1] [--split train] [--size 256]

Prints every measure with its bar, and exits with 1 if one fails. "Largest object" marks the largest labelled object of
the scene, whatever the question. Emptiness is predicted by a naive Bayes classifier from the words of the questions,
and from pairs of neighbouring words, with five-fold cross-validation over scenes; an AUC of 0.5 is chance.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from earthreason.processes import process_pool, run_in_order
from earthreason.synthetic import CATEGORIES, DISTRACTORS
from earthreason.synthetic.generate import EMPTY_SHARE, SPLITS, Composition, compose_scene

ORACLE, LARGEST, AUC, CATEGORY, DISTINCT, WORD, OPENING = 0.30, 0.35, 0.05, 0.08, 0.95, 0.34, 0.05
"""Bars of the measures in `report`: DISTINCT is the least value, AUC the largest distance from 0.5, others the most."""
_FOLDS = 5
_LABELLED = {*CATEGORIES, *DISTRACTORS}
_COMMON_TEXT = """
a about above after again all along an and another any anyone are as at be because been before being below but by
can could did do does each every everyone few find for from had has have having here how if in into is it its just
let like look main make mark may me might more most must need needs never no nor not nothing of off on once one only
or other others our out over please show should since so some somebody someone something still such than that the
their them then there they this those through to too two under until up very was we what whatever when where which
whichever while who whom whose why will with without would you your
"""
_COMMON_WORDS = frozenset(_COMMON_TEXT.split())


@dataclass(frozen=True)
class Facts:
    """What the measures need of a scene.

    Attributes:
        category: category that the questions ask about.
        reasoning_type: type of its questions.
        questions: six questions.
        empty: whether the target is empty.
        labelled: number of labelled objects.
        largest: whether the target is larger than every labelled object outside it.
        oracle: intersection over union of the target and the largest labelled object; 0 for an empty target.
    """

    category: str
    reasoning_type: str
    questions: list[str]
    empty: bool
    labelled: int
    largest: bool
    oracle: float


def facts_of(made: Composition) -> Facts:
    """Measure a scene without reading its questions."""
    masks = [item.mask for item in made.scene.objects if item.kind in _LABELLED]
    target = made.target.mask
    empty = not target.any()
    largest = max(masks, key=np.sum, default=np.zeros_like(target))
    others = max((int(mask.sum()) for mask in masks if not (mask & target).any()), default=0)
    union = (largest | target).sum()
    return Facts(
        category=made.category,
        reasoning_type=made.target.reasoning_type,
        questions=made.questions,
        empty=empty,
        labelled=len(masks),
        largest=bool(not empty and target.sum() > others),
        oracle=0.0 if empty or not union else float((largest & target).sum() / union),
    )


def draw(count: int, seed: int, split: str, size: int, empty_share: float, workers: int = 1) -> list[Facts]:
    """Compose scenes and measure them."""
    job = partial(_draw_one, seed, split, size, empty_share)
    if workers == 1:
        return [job(index) for index in range(count)]
    with process_pool(workers) as pool:
        return list(run_in_order(pool, job, [(index,) for index in range(count)], chunk=16))


def _draw_one(seed: int, split: str, size: int, empty_share: float, index: int) -> Facts:
    return facts_of(compose_scene(seed, split, index, (size, size), empty_share))


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def word_pairs(text: str) -> list[str]:
    found = words(text)
    return [f"{first} {second}" for first, second in pairwise(found)]


def emptiness_auc(scenes: Sequence[Facts], tokens: Callable[[str], list[str]]) -> float:
    """Return the cross-validated area under the ROC curve of a naive Bayes classifier of emptiness.

    Each question is a document; all six of a scene are in the same fold. Presence of a token counts, not its frequency.
    """
    fold = np.random.default_rng(0).permutation(len(scenes)) % _FOLDS
    documents = [
        (scene.empty, fold[n], set(tokens(text))) for n, scene in enumerate(scenes) for text in scene.questions
    ]
    scores = np.zeros(len(documents))
    for held in range(_FOLDS):
        counts = {True: Counter[str](), False: Counter[str]()}
        totals = Counter[bool]()
        for empty, number, found in documents:
            if number != held:
                counts[empty].update(found)
                totals[empty] += 1
        for n, (_, number, found) in enumerate(documents):
            if number == held:
                present = ((counts[True][token] + 1, counts[False][token] + 1) for token in found)
                scores[n] = sum(np.log(a / (totals[True] + 2)) - np.log(b / (totals[False] + 2)) for a, b in present)
    return auc(scores, np.array([empty for empty, *_ in documents]))


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    Args:
        scores: (n,) float.
        positive: (n,) bool.
    """
    ranks, n = rankdata(scores), int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(positive) - n)))


def most_common_share(texts: Iterable[str], parts: Callable[[str], Iterable[str]]) -> tuple[str, float]:
    """Return the part that occurs in most texts, and the share of texts that have it."""
    texts = list(texts)
    part, count = Counter(part for text in texts for part in set(parts(text))).most_common(1)[0]
    return part, count / len(texts)


def content_words(text: str) -> list[str]:
    return [word for word in words(text) if word not in _COMMON_WORDS]


def opening(text: str) -> list[str]:
    return [" ".join(words(text)[:4])]


def oracle_by_type(scenes: Sequence[Facts]) -> dict[str, tuple[int, float]]:
    """Return the number of scenes and the mean IoU of the largest object by reasoning type, with "all" first."""
    groups: dict[str, list[float]] = defaultdict(list)
    for scene in scenes:
        groups["all"].append(scene.oracle)
        groups[scene.reasoning_type].append(scene.oracle)
    return {name: (len(values), float(np.mean(values))) for name, values in groups.items()}


def share_largest(scenes: Sequence[Facts]) -> float:
    """Return the share of scenes with a target and two or more labelled objects whose target is the largest."""
    return float(np.mean([scene.largest for scene in scenes if not scene.empty and scene.labelled > 1]))


def report(scenes: Sequence[Facts]) -> bool:
    """Print every measure with its bar; return whether all bars hold."""
    texts = [text for scene in scenes for text in scene.questions]
    oracle, largest = oracle_by_type(scenes), share_largest(scenes)
    word, word_share = most_common_share(texts, content_words)
    begin, begin_share = most_common_share(texts, opening)
    category, category_share = most_common_share([scene.category for scene in scenes], lambda name: [name])
    singles, pairs = (emptiness_auc(scenes, tokens) for tokens in (words, word_pairs))
    distinct = len(set(texts)) / len(texts)
    rows = [
        ("gIoU of the largest object", oracle["all"][1], f"<= {ORACLE}", oracle["all"][1] <= ORACLE),
        ("asked object is the largest of several", largest, f"<= {LARGEST}", largest <= LARGEST),
        ("emptiness from words, AUC", singles, f"0.5 +- {AUC}", abs(singles - 0.5) <= AUC),
        ("emptiness from pairs of words, AUC", pairs, f"0.5 +- {AUC}", abs(pairs - 0.5) <= AUC),
        (f"most common category ({category})", category_share, f"<= {CATEGORY}", category_share <= CATEGORY),
        ("distinct questions", distinct, f">= {DISTINCT}", distinct >= DISTINCT),
        (f"most common content word ({word})", word_share, f"<= {WORD}", word_share <= WORD),
        (f"most common opening ({begin})", begin_share, f"<= {OPENING}", begin_share <= OPENING),
    ]
    for name, value, bar, holds in rows:
        print(f"{'pass' if holds else 'FAIL'}  {name:60s} {value:6.3f}  {bar}")
    print("\ngIoU of the largest object, and share of empty targets, by reasoning type")
    for name, (count, value) in sorted(oracle.items()):
        same = [scene.empty for scene in scenes if name in ("all", scene.reasoning_type)]
        print(f"  {name:20s} {count:5d} scenes {value:6.3f}   {np.mean(same):6.3f} empty of {len(same)}")
    lengths = [len(text.split()) for text in texts]
    print(f"words in a question: mean {np.mean(lengths):.1f}, {min(lengths)} to {max(lengths)}")
    openings = Counter(part for text in texts for part in opening(text)).most_common(5)
    print("most common openings: " + ", ".join(f"{part!r} {count / len(texts):.1%}" for part, count in openings))
    return all(holds for *_, holds in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=2000, help="number of scenes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--size", type=int, default=256, help="side of the scenes in pixels")
    parser.add_argument(
        "--empty-share",
        type=float,
        default=EMPTY_SHARE,
        help="share of empty targets; each counts 0 for the largest object",
    )
    parser.add_argument("--workers", type=int, default=2)
    a = parser.parse_args()
    sys.exit(0 if report(draw(a.n, a.seed, a.split, a.size, a.empty_share, a.workers)) else 1)


if __name__ == "__main__":
    main()
