"""Plan a scene: its surroundings, its scale, and which objects stand in it beside those asked about.

Marking the largest object without reading the question must not pay. Therefore most scenes have another, larger main
subject (the partner), beside which the objects of the category are small.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from earthreason.synthetic.categories import FEATURES, Feature

GSD_RANGE = (0.5, 30.0)
WOODLAND = FEATURES["woodland"]
VISIBLE = 16.0
"""Smallest extent in pixels at which an object is drawn, so that it can be recognized."""
INTERSECTION = "intersection"
"""A scene about it has no other roads that cross, because each crossing would be another one."""
_PARTNER_SHARES = (0.3, 0.9)
"""Shares of scenes that have a partner, if one suits them: of categories that are usually tiny in an image, and of
those that run across it, which few others exceed."""
_LARGER = 1.2
"""Least ratio of the area of a partner to that of the largest object of the category."""
_CATEGORY_FIRST = 0.6
"""Share of scenes whose partner is rather a category than a distractor."""
_LOOK_ALIKE_SHARE = 0.55
"""Share of scenes that show something that resembles the category, if it suits them, whether it is there or not."""
_LARGEST_EXTENT = 0.72
"""Largest extent of a partner as a share of the image's shorter side."""
_WINDING = 1.3
"""Ratio of the length of a river to the image's shorter side."""


@dataclass(frozen=True)
class Group:
    """Objects of one category that are to be drawn.

    Attributes:
        feature: the category.
        count: number of objects.
        metres: extent of the first one, which is the largest.
    """

    feature: Feature
    count: int
    metres: float


@dataclass(frozen=True)
class ScenePlan:
    """The plan of a scene.

    Attributes:
        setting: surroundings.
        gsd: metres per pixel.
        asked: the objects of the category.
        others: what else stands in the scene, the partner first.
        relaxed: whether fewer objects of the category than planned will do.
        landmark: what must be there to measure distances from: "water", "trees", or "" for nothing.
    """

    setting: str
    gsd: float
    asked: Group
    others: tuple[Group, ...]
    relaxed: bool
    landmark: str


def plan_scene(
    rng: np.random.Generator,
    feature: Feature,
    side: int,
    gsd: float | None,
    instances: int | None,
    unwanted: Collection[str],
    attempt: int,
    attempts: int,
    landmark: str,
) -> ScenePlan:
    """Plan a scene about a category; later attempts ask for less, so that one of them fits.

    Args:
        rng: source of randomness.
        feature: the category.
        side: the image's shorter side in pixels.
        gsd: metres per pixel; None chooses it.
        instances: number of objects of the category; None draws it.
        unwanted: categories that must not appear.
        attempt: number of plans for this scene that failed.
        attempts: number of plans that will be tried.
        landmark: "water" or "trees" that should be there too, if the surroundings can have them; "" for neither.
    """
    progress = attempt / attempts
    several = feature.repeat > 1 and rng.random() < 0.8
    count = min(instances or int(rng.integers(2 if several else 1, feature.repeat + 1)), feature.repeat)
    if progress > 0.6:
        count = max(1, round(count * (1 - progress)))
    settings = [name for name in feature.settings if landmark != "trees" or name in WOODLAND.settings]
    settings = settings or list(feature.settings)
    setting = settings[0] if rng.random() < 0.5 else str(rng.choice(settings))
    asked = Group(feature, count, float(rng.uniform(*feature.metres)))
    partner = None
    few, most = _PARTNER_SHARES
    if rng.random() < (most if feature.across else few + (most - few) * feature.share[0]) and progress < 0.6:
        asked, partner, scale = _with_partner(rng, asked, setting, side, gsd, unwanted)
    if partner is None:
        share = rng.uniform(0.7 * feature.share[0], feature.share[1])
        extent = max(VISIBLE, share * side * 0.93**attempt / count**0.4)
        scale = gsd or round(float(np.clip(asked.metres / extent, *GSD_RANGE)), 2)
    others = [partner] if partner else []
    if progress < 0.85:
        others += _companions(rng, asked, partner, setting, side, scale, unwanted, landmark)
    return ScenePlan(setting, scale, asked, tuple(others), progress > 0.35, landmark)


def least_extent(feature: Feature, side: int) -> float:
    """Return the extent in pixels below which an object of this category is not legible in an image of this size."""
    if feature.category == "river":
        return feature.share[0] * side
    return max(VISIBLE, 0.42 * feature.share[0] * min(side, 400))


def covered(feature: Feature, extent: float, side: int) -> float:
    """Estimate the area in px² of an object whose extent is given in pixels."""
    if feature.category == "river":
        return _WINDING * float(np.clip(extent, feature.share[0] * side, feature.share[1] * side)) * side
    return feature.cover * (side if feature.across else extent) ** 2


def _with_partner(
    rng: np.random.Generator, asked: Group, setting: str, side: int, gsd: float | None, unwanted: Collection[str]
) -> tuple[Group, Group | None, float]:
    """Choose a partner and a scale at which both are visible; return the objects of the category, it, and the scale."""
    main = asked.feature
    candidates = [f for f in FEATURES.values() if _goes_with(f, main, setting, unwanted)]
    chosen = [candidates[number] for number in rng.permutation(len(candidates))]
    if rng.random() < _CATEGORY_FIRST:
        chosen.sort(key=lambda f: f.distractor)
    least = least_extent(main, side)
    most = least * 1.2 if main.across else max(least * 1.2, 0.8 * main.share[1] * side / asked.count**0.3)
    for f in chosen:
        for _ in range(8):
            metres = float(rng.uniform(*main.metres))
            extent = float(np.exp(rng.uniform(np.log(least), np.log(most))))
            scale = gsd or round(metres / extent, 2)
            size = float(np.exp(rng.uniform(*np.log(f.metres))))
            ample = covered(f, size / scale, side) > _LARGER * covered(main, metres / scale, side)
            largest = min(_LARGEST_EXTENT, 1.25 * f.share[1]) * side
            fits = f.across or least_extent(f, side) <= size / scale <= largest
            if ample and fits and GSD_RANGE[0] <= scale <= GSD_RANGE[1]:
                return Group(main, asked.count, metres), Group(f, 1, size), scale
    return asked, None, 0.0


def _goes_with(f: Feature, main: Feature, setting: str, unwanted: Collection[str]) -> bool:
    """Return whether a category may be drawn in a scene about another one."""
    if f.category == main.category or setting not in f.settings or {f.category, *f.brings} & {*unwanted}:
        return False
    if main.category in f.brings or f.category in main.brings or f.category in ("dam", "bridge"):
        return False
    if f.category == "river" and (setting == "coast" or main.water):
        return False
    if {f.water, main.water} == {"beach", "sea"}:  # a pier would cut a beach
        return False
    absent = main.category in unwanted
    return not (main.category == INTERSECTION and f.own_roads and not (absent and f.category in main.resembles))


def _companions(
    rng: np.random.Generator,
    asked: Group,
    partner: Group | None,
    setting: str,
    side: int,
    gsd: float,
    unwanted: Collection[str],
    landmark: str,
) -> list[Group]:
    """Choose two to four others that suit the setting and are visible at this scale."""
    main, absent = asked.feature, asked.feature.category in unwanted
    candidates = [
        f
        for f in FEATURES.values()
        if _goes_with(f, main, setting, unwanted)
        and f.category != "river"
        and (partner is None or f.category != partner.feature.category)
        and f.metres[1] >= least_extent(f, side) * gsd
        and f.metres[0] <= 0.42 * side * gsd
    ]
    chosen = [candidates[number] for number in rng.permutation(len(candidates))]
    if rng.random() < _LOOK_ALIKE_SHARE:
        chosen.sort(key=lambda f: f.category not in main.resembles)
    if landmark == "trees":
        chosen.sort(key=lambda f: f is not WOODLAND)
    groups: list[Group] = []
    for f in chosen[: int(rng.integers(2, 5)) + absent]:
        least = max(f.metres[0], least_extent(f, side) * gsd)
        metres = float(rng.uniform(least, max(least, min(f.metres[1], 0.42 * side * gsd))))
        # In place of absent objects, as many others are drawn, so that their number does not show the absence.
        most = asked.count if absent and not groups else 2
        groups.append(Group(f, int(rng.integers(1, min(f.repeat, most) + 1)), metres))
    return groups
