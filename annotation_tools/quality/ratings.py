"""Measure how well raters agree on categories: raw agreement, kappa and alpha, with the prevalence of each category."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

Ratings = Mapping[str, Mapping[str, str]]
"""Category by item and rater."""


@dataclass(frozen=True)
class PairAgreement:
    """Agreement of two raters on the items that both rated.

    Attributes:
        first: name of the first rater.
        second: name of the second rater.
        things: number of items rated by both.
        raw: share of these items with equal ratings.
        kappa: Cohen's kappa (1960); None if undefined because both used one category only.
    """

    first: str
    second: str
    things: int
    raw: float
    kappa: float | None


@dataclass(frozen=True)
class Agreement:
    """Agreement of all raters.

    Attributes:
        things: number of items rated by at least two people.
        prevalence: share of each category in the ratings of these items; kappa and alpha fall if one dominates.
        raw: mean over items of the share of equal pairs of ratings, None without items.
        pabak: prevalence- and bias-adjusted kappa (Byrt et al. 1993): (k * raw - 1) / (k - 1) for k categories.
        alpha: Krippendorff's alpha, nominal, with missing ratings; None if undefined.
        pairs: agreement by pair of raters.
        disputed: items with different ratings.
    """

    things: int
    prevalence: dict[str, float]
    raw: float | None
    pabak: float | None
    alpha: float | None
    pairs: list[PairAgreement]
    disputed: list[str]


def rate_agreement(ratings: Ratings, categories: int) -> Agreement:
    """Measure the agreement on items that at least two people rated.

    Args:
        ratings: category by item and rater.
        categories: number of categories that a rater can choose from, at least 2.
    """
    shared = {thing: dict(said) for thing, said in ratings.items() if len(said) > 1}
    counts = Counter(value for said in shared.values() for value in said.values())
    total = sum(counts.values())
    alike = [_share_alike(list(said.values())) for said in shared.values()]
    raw = float(np.mean(alike)) if alike else None
    return Agreement(
        things=len(shared),
        prevalence={name: count / total for name, count in sorted(counts.items())},
        raw=raw,
        pabak=None if raw is None else (categories * raw - 1) / (categories - 1),
        alpha=_alpha(shared),
        pairs=_pairs(shared),
        disputed=[thing for thing, said in shared.items() if len(set(said.values())) > 1],
    )


def _share_alike(values: list[str]) -> float:
    pairs = list(combinations(values, 2))
    return sum(one == other for one, other in pairs) / len(pairs)


def _alpha(shared: Ratings) -> float | None:
    import krippendorff

    raters = sorted({rater for said in shared.values() for rater in said})
    names = sorted({value for said in shared.values() for value in said.values()})
    if len(names) < 2:
        return None  # with one category only, the expected disagreement is 0
    table = np.full((len(raters), len(shared)), np.nan)
    for column, said in enumerate(shared.values()):
        for rater, value in said.items():
            table[raters.index(rater), column] = names.index(value)
    return float(krippendorff.alpha(reliability_data=table, level_of_measurement="nominal"))


def _pairs(shared: Ratings) -> list[PairAgreement]:
    from sklearn.metrics import cohen_kappa_score

    by_pair: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for said in shared.values():
        for first, second in combinations(sorted(said), 2):
            by_pair[first, second].append((said[first], said[second]))
    agreements = []
    for (first, second), values in sorted(by_pair.items()):
        one, other = zip(*values, strict=True)
        raw = sum(a == b for a, b in values) / len(values)
        only = len({*one, *other}) == 1
        kappa = math.nan if only else float(cohen_kappa_score(one, other))
        agreements.append(PairAgreement(first, second, len(values), raw, None if math.isnan(kappa) else kappa))
    return agreements
