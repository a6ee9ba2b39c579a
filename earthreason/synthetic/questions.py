"""Choose the target of a scene's questions, and write six implicit questions and three answers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import distance_transform_edt

from earthreason.synthetic.phrases import load_phrases, load_templates
from earthreason.synthetic.scene import RenderedScene, SceneObject

QUESTIONS = 6
MARGIN = 1.2
"""Ratio of sizes or distances from which a superlative is unambiguous."""
_PLAIN_SHARE = 0.15
"""Share of scenes with several objects of the category whose questions mean all of them, by function alone."""
_WATER = ("river", "lake", "sea")
_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}
_CONDITIONS = {
    "the water": ("flood", "that rising water reaches first"),
    "the dense trees": ("fire", "that a blaze among the trees reaches first"),
}


@dataclass(frozen=True)
class Target:
    """The target of the questions about a scene: one object, several, or none.

    Attributes:
        mask: (height, width) bool; all False for an empty target.
        reasoning_type: "function", "multi-instance", "superlative", "spatial relation", "condition" or "absence".
        wording: name of the question templates in `wording/templates.toml`.
        slots: values for the templates, besides the clause.
        reason: difference between the target and other objects of its category, for the answers.
    """

    mask: np.ndarray
    reasoning_type: str
    wording: str
    slots: dict[str, str] = field(default_factory=dict)
    reason: str = ""


def choose_target(rng: np.random.Generator, scene: RenderedScene, category: str) -> Target:
    """Choose a target, and a kind of question that identifies it unambiguously.

    Args:
        rng: source of randomness.
        scene: scene to ask about; if it does not contain the category, the target is empty.
        category: category to ask about.
    """
    candidates = scene.of_kind(category)
    if not candidates:
        return Target(np.zeros(scene.image.shape[:2], bool), "absence", "function")
    if len(candidates) > 1 and rng.random() > _PLAIN_SHARE:
        # Few scenes have a landmark, so the questions that need one are tried first.
        for options in ((_condition, _nearest), (_multi, _superlative, _direction)):
            for number in rng.permutation(len(options)):
                target = options[number](rng, scene, candidates)
                if target is not None:
                    return target
    return Target(_union(candidates), "function", "function")


def _union(objects: list[SceneObject]) -> np.ndarray:
    union: np.ndarray = np.logical_or.reduce([item.mask for item in objects])
    return union


def _multi(rng: np.random.Generator, scene: RenderedScene, candidates: list[SceneObject]) -> Target | None:
    if len(candidates) not in _NUMBERS:
        return None
    slots = {"count": _NUMBERS[len(candidates)]}
    return Target(_union(candidates), "multi-instance", "multi-instance", slots)


def _superlative(rng: np.random.Generator, scene: RenderedScene, candidates: list[SceneObject]) -> Target | None:
    most = "largest" if rng.random() < 0.6 else "smallest"
    first, second = sorted(candidates, key=lambda item: item.area, reverse=most == "largest")[:2]
    large, small = max(first.area, second.area), min(first.area, second.area)
    cut_off = first.mask[1:-1, 1:-1].sum() < first.area  # by the edge of the image, so that its size is unknown
    if large < MARGIN * small or cut_off:
        return None
    return Target(first.mask, "superlative", "superlative", {"most": most}, f"with the {most} area of all")


def _direction(rng: np.random.Generator, scene: RenderedScene, candidates: list[SceneObject]) -> Target | None:
    direction = str(rng.choice(("north", "south", "east", "west")))
    axis, sign = {"north": (0, 1), "south": (0, -1), "west": (1, 1), "east": (1, -1)}[direction]
    ranked = sorted((sign * item.centre[axis], number) for number, item in enumerate(candidates))
    if ranked[1][0] - ranked[0][0] < 0.12 * scene.image.shape[axis]:
        return None
    mask, reason = candidates[ranked[0][1]].mask, f"farthest to the {direction}"
    return Target(mask, "spatial relation", "direction", {"direction": direction}, reason)


def _nearest(rng: np.random.Generator, scene: RenderedScene, candidates: list[SceneObject]) -> Target | None:
    name, item = _beside_landmark(rng, scene, candidates)
    if item is None:
        return None
    return Target(item.mask, "spatial relation", "nearest", {"landmark": name}, f"closest to {name}")


def _condition(rng: np.random.Generator, scene: RenderedScene, candidates: list[SceneObject]) -> Target | None:
    name, item = _beside_landmark(rng, scene, candidates)
    if item is None:
        return None
    wording, reason = _CONDITIONS[name]
    return Target(item.mask, "condition", wording, reason=reason)


def _beside_landmark(
    rng: np.random.Generator, scene: RenderedScene, candidates: list[SceneObject]
) -> tuple[str, SceneObject | None]:
    """Choose a landmark; return it with the nearest candidate, or None unless the next one is clearly farther away."""
    landmarks = _landmarks(scene, candidates[0].kind)
    if not landmarks:
        return "", None
    name, landmark = landmarks[int(rng.integers(len(landmarks)))]
    distance = distance_transform_edt(~landmark)
    ranked = sorted((float(distance[item.mask].min()), number) for number, item in enumerate(candidates))
    (near, first), (far, _) = ranked[:2]
    if far < MARGIN * near or far - near < 0.05 * min(landmark.shape):
        return name, None
    return name, candidates[first]


def _landmarks(scene: RenderedScene, category: str) -> list[tuple[str, np.ndarray]]:
    """Return the landmarks of a scene by descriptions that do not name a category."""
    landmarks = []
    water = [item for item in scene.objects if item.kind in _WATER]
    if water and category not in (*_WATER, "beach", "pier", "bridge", "island", "dam"):
        landmarks.append(("the water", _union(water)))
    trees = scene.of_kind("woodland")
    if trees and category != "woodland":
        landmarks.append(("the dense trees", _union(trees)))
    return landmarks


def write_questions(rng: np.random.Generator, target: Target, category: str, training: bool) -> list[str]:
    """Write six different questions about the target, in the wording of training or of evaluation."""
    split = "train" if training else "evaluation"
    clauses = load_phrases(category).clauses(split)
    templates = load_templates().questions[target.wording][split]
    order = rng.permutation(len(templates))[:QUESTIONS]
    start = int(rng.integers(len(clauses)))
    return [
        templates[number].format(clause=clauses[(start + k) % len(clauses)], **target.slots)
        for k, number in enumerate(order)
    ]


def write_answers(rng: np.random.Generator, target: Target, category: str, training: bool) -> list[str]:
    """Write three answers that name the target and explain the choice; none if the target is empty."""
    if not target.mask.any():
        return []
    phrases, answers = load_phrases(category), load_templates().answers
    clauses = phrases.clauses("train" if training else "evaluation")
    slots = {"name": phrases.singular, "plural": phrases.plural, "looks": phrases.looks, "reason": target.reason}
    chosen = rng.permutation(len(clauses))
    return [
        template.format(clause=clauses[chosen[k % len(clauses)]], **slots, **target.slots)
        for k, template in enumerate(answers.get(target.reasoning_type, answers["relation"]))
    ]
