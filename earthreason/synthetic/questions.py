"""Choose the target of a scene's questions, and write six implicit questions and three answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.ndimage import distance_transform_edt, label

from earthreason.synthetic.categories import FEATURES
from earthreason.synthetic.phrases import load_phrases, load_templates
from earthreason.synthetic.scene import SceneContent, SceneObject

QUESTIONS = 6
MARGIN = 1.2
"""Ratio of sizes or distances from which a superlative is unambiguous."""
WORDINGS = {
    "function": "function",
    "multi-instance": "multi-instance",
    "superlative": "superlative",
    "nearest": "spatial relation",
    "direction": "spatial relation",
    "flood": "condition",
    "fire": "condition",
}
"""Reasoning type of each wording, which is a kind of question with templates of its own."""
_WEIGHTS = dict(zip(WORDINGS, (0.07, 0.12, 0.16, 0.09, 0.06, 0.25, 0.25), strict=True))
"""How often each wording is tried first, if the category can have it; conditions fit the fewest scenes."""
_STORY_SHARE, _OPENER_SHARE = 0.14, 0.3
_WATER = ("river", "lake", "sea")
_LANDMARKS = {"water": _WATER, "trees": ("woodland",)}
_OF_WATER = frozenset((*_WATER, "beach", "pier", "bridge", "island", "dam"))
"""Categories which are water or always beside it, so that nearness to water distinguishes none of them."""
_CONDITIONS = {"flood": "water", "fire": "trees"}
_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}
_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Target:
    """The target of the questions about a scene: one object, several, or none.

    Attributes:
        mask: (height, width) bool; all False for an empty target.
        reasoning_type: "function", "multi-instance", "superlative", "spatial relation" or "condition".
        wording: kind of question, a key of `WORDINGS`.
        slots: values for the templates: "count" ("three"), "most" ("largest" or "smallest"), "direction" ("north") or
            "landmark" ("water" or "trees").
        reason: difference between the target and other objects of its category, for the answers.
        count: number of objects that the mask covers.
    """

    mask: np.ndarray
    reasoning_type: str
    wording: str
    slots: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    count: int = 1

    @property
    def landmark(self) -> str:
        """Landmark that the questions refer to: "water", "trees", or "" for none."""
        return self.slots.get("landmark", _CONDITIONS.get(self.wording, ""))

    def without_objects(self) -> Target:
        """Return an empty target with the same questions."""
        return replace(self, mask=np.zeros_like(self.mask), count=0)


def possible_wordings(category: str) -> tuple[str, ...]:
    """Return the kinds of question that a category can have: those about one of several need one that can repeat."""
    if FEATURES[category].repeat < 2:
        return ("function",)
    near = usable_landmarks(category)
    needs = {"nearest": bool(near), **{name: landmark in near for name, landmark in _CONDITIONS.items()}}
    return tuple(name for name in WORDINGS if needs.get(name, True))


def usable_landmarks(category: str) -> list[str]:
    """Return the landmarks from which distances tell objects of a category apart: "water", "trees", both or none."""
    settings = FEATURES["woodland"].settings
    usable = {
        "water": category not in _OF_WATER,
        "trees": any(setting in settings for setting in FEATURES[category].settings),
    }
    return [name for name in _LANDMARKS if usable[name]]


def draw_wordings(rng: np.random.Generator, category: str) -> list[str]:
    """Return the kinds of question that a category can have in random order, the likelier ones rather first."""
    names = possible_wordings(category)
    weights = np.array([_WEIGHTS[name] for name in names])
    return [str(name) for name in rng.choice(names, len(names), replace=False, p=weights / weights.sum())]


def draw_landmark(rng: np.random.Generator, category: str, wording: str) -> str:
    """Return the landmark that a kind of question needs, "water" or "trees", or "" if it needs none."""
    if wording == "nearest":
        return str(rng.choice(usable_landmarks(category)))
    return _CONDITIONS.get(wording, "")


def choose_target(
    rng: np.random.Generator, scene: SceneContent, category: str, wordings: Sequence[str] | None = None
) -> Target | None:
    """Choose a target that a kind of question identifies unambiguously.

    Args:
        rng: source of randomness.
        scene: scene to ask about.
        category: category to ask about.
        wordings: kinds of question, of which the first that fits the scene is taken; None draws their order.

    Returns:
        The target; None if no kind fits the scene.
    """
    candidates = scene.of_kind(category)
    for wording in draw_wordings(rng, category) if wordings is None else wordings:
        if wording == "function":
            if candidates:
                return _all(candidates, wording)
            continue
        # One object in two pieces, or two that touch, would be counted and compared differently by eye.
        if len(candidates) < 2 or not _separate(candidates):
            continue
        target = _CHOICES[wording](rng, scene, candidates, wording)
        if target is not None:
            return target
    return None


def landmark_mask(scene: SceneContent, landmark: str) -> np.ndarray | None:
    """Return the pixels of the landmark "water" or "trees", (height, width) bool; None if the scene has none."""
    parts = [item for item in scene.objects if item.kind in _LANDMARKS[landmark]]
    return _union(parts) if parts else None


def _union(objects: list[SceneObject]) -> np.ndarray:
    union: np.ndarray = np.logical_or.reduce([item.mask for item in objects])
    return union


def _separate(objects: list[SceneObject]) -> bool:
    """Return whether every object is one connected region, which touches no other."""
    regions, count = label(_union(objects), _EIGHT_NEIGHBOURS)
    numbers = {int(regions[item.mask].max()) for item in objects}
    return bool(count == len(objects) == len(numbers))


def _whole(item: SceneObject) -> bool:
    """Return whether the edge of the image does not cut the object off."""
    return int(item.mask[1:-1, 1:-1].sum()) == item.area


def _all(candidates: list[SceneObject], wording: str, slots: dict[str, str] | None = None) -> Target:
    return Target(_union(candidates), WORDINGS[wording], wording, slots or {}, count=len(candidates))


def _multi(rng: np.random.Generator, scene: SceneContent, candidates: list[SceneObject], wording: str) -> Target | None:
    if len(candidates) not in _NUMBERS or not all(map(_whole, candidates)):
        return None
    return _all(candidates, wording, {"count": _NUMBERS[len(candidates)]})


def _superlative(
    rng: np.random.Generator, scene: SceneContent, candidates: list[SceneObject], wording: str
) -> Target | None:
    for most in _shuffled(rng, ("largest", "smallest")):
        first, second = sorted(candidates, key=lambda item: item.area, reverse=most == "largest")[:2]
        large, small = max(first.area, second.area), min(first.area, second.area)
        # What is cut off may be larger than it looks: it cannot be the smallest, nor can anything else be the largest.
        known = _whole(first) if most == "smallest" else all(map(_whole, candidates))
        if large >= MARGIN * small and known:
            return Target(first.mask, WORDINGS[wording], wording, {"most": most}, f"with the {most} area of all")
    return None


def _direction(
    rng: np.random.Generator, scene: SceneContent, candidates: list[SceneObject], wording: str
) -> Target | None:
    for direction in _shuffled(rng, ("north", "south", "east", "west")):
        axis, sign = {"north": (0, 1), "south": (0, -1), "west": (1, 1), "east": (1, -1)}[direction]
        ranked = sorted((sign * item.centre[axis], number) for number, item in enumerate(candidates))
        if ranked[1][0] - ranked[0][0] >= 0.12 * scene.shape[axis]:
            mask, reason = candidates[ranked[0][1]].mask, f"farthest to the {direction}"
            return Target(mask, WORDINGS[wording], wording, {"direction": direction}, reason)
    return None


def _nearest(
    rng: np.random.Generator, scene: SceneContent, candidates: list[SceneObject], wording: str
) -> Target | None:
    for name in _shuffled(rng, usable_landmarks(candidates[0].kind)):
        item = _beside(landmark_mask(scene, name), candidates)
        if item is not None:
            return Target(item.mask, WORDINGS[wording], wording, {"landmark": name}, "closest to {landmark}")
    return None


def _condition(
    rng: np.random.Generator, scene: SceneContent, candidates: list[SceneObject], wording: str
) -> Target | None:
    item = _beside(landmark_mask(scene, _CONDITIONS[wording]), candidates)
    if item is None:
        return None
    reason = {"flood": "that rising water reaches first", "fire": "that a blaze among the trees reaches first"}[wording]
    return Target(item.mask, WORDINGS[wording], wording, reason=reason)


_CHOICES = {
    "multi-instance": _multi,
    "superlative": _superlative,
    "nearest": _nearest,
    "direction": _direction,
    "flood": _condition,
    "fire": _condition,
}


def _beside(landmark: np.ndarray | None, candidates: list[SceneObject]) -> SceneObject | None:
    """Return the candidate nearest to the landmark; None unless the next one is clearly farther away."""
    if landmark is None:
        return None
    distance = distance_transform_edt(~landmark)
    ranked = sorted((float(distance[item.mask].min()), number) for number, item in enumerate(candidates))
    (near, first), (far, _) = ranked[:2]
    if far < MARGIN * near or far - near < 0.05 * min(landmark.shape):
        return None
    return candidates[first]


def write_questions(rng: np.random.Generator, target: Target, category: str, split: str) -> list[str]:
    """Write six different questions about the target, in the wording of `train`, `val` or `test`.

    The questions depend on the kind of question and its slots, but not on the mask: words do not reveal that a target
    is empty.
    """
    phrases, templates = load_phrases(category), load_templates(split)
    frames, requests = (_shuffled(rng, group[target.wording]) for group in (templates.frames, templates.requests))
    clauses, stories = _shuffled(rng, phrases.clauses(split)), _shuffled(rng, phrases.stories(split))
    openers, questions = _shuffled(rng, templates.openers), []
    for _ in range(QUESTIONS):
        slots, story = _slots(rng, target, split), ""
        if stories and rng.random() < _STORY_SHARE:
            story, question = f"{stories.pop()} ", requests.pop().format(**slots)
        else:
            question = frames.pop().format(clause=clauses.pop(), **slots)
        if question[0].islower():
            opened = rng.random() < _OPENER_SHARE
            question = f"{openers.pop()}, {question}" if opened else question[0].upper() + question[1:]
        questions.append(story + question)
    return questions


def write_answers(rng: np.random.Generator, target: Target, category: str, split: str) -> list[str]:
    """Write three answers that name the target and explain the choice; none if the target is empty."""
    if not target.mask.any():
        return []
    phrases, answers = load_phrases(category), load_templates(split).answers
    kind = "several" if target.wording == "function" and target.count > 1 else target.wording
    clauses, texts = _shuffled(rng, phrases.clauses(split)), []
    for template in answers.get(kind, answers["relation"]):
        slots = {"count": _NUMBERS.get(target.count, str(target.count)), **_slots(rng, target, split)}
        reason = target.reason.format(**slots)
        names = {"name": phrases.singular, "plural": phrases.plural, "looks": phrases.looks, "reason": reason}
        text = template.format(clause=clauses.pop(), **slots, **names)
        texts.append(text[0].upper() + text[1:])
    return texts


def _slots(rng: np.random.Generator, target: Target, split: str) -> dict[str, str]:
    """Return values for the slots of a sentence: those of the target, a head, and a description of the landmark."""
    templates = load_templates(split)
    head = str(rng.choice(templates.heads))
    slots = {**target.slots, "head": head, "a_head": f"{'an' if head[0] in 'aeiou' else 'a'} {head}"}
    if "landmark" in slots:
        slots["landmark"] = str(rng.choice(templates.landmarks[slots["landmark"]]))
    return slots


def _shuffled(rng: np.random.Generator, texts: Sequence[str]) -> list[str]:
    return [texts[number] for number in rng.permutation(len(texts))]
