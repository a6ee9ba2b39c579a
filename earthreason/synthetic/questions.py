"""Choose what to ask about a scene, and write six implicit questions and three answers.

Templates hold `{clause}`, such as "where jets stand side by side", which does not name the category. Training and
evaluation share no template and no clause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from earthreason.synthetic.phrases import PHRASES
from earthreason.synthetic.scene import RenderedScene, SceneObject

QUESTIONS, ANSWERS = 6, 3
MARGIN = 1.2
"""Ratio of sizes or distances from which a superlative is unambiguous."""
_PLAIN_SHARE = 0.15
"""Share of scenes with several objects of the category that ask for all of them by function alone."""

_WATER = ("river", "lake", "sea")
_FUNCTION = {
    "train": (
        "Where in this scene would one find a place {clause}?",
        "Please point out what serves here as a place {clause}.",
        "Someone new to this area is looking for a place {clause}; where should they go?",
        "Which part of this landscape looks like a place {clause}?",
        "Seen from above, what here would be a place {clause}?",
        "If a visitor asked for a place {clause}, what would you show them?",
        "Which ground in this view is used as a place {clause}?",
        "Show the part of the surroundings that is a place {clause}.",
    ),
    "evaluation": (
        "What in this area could be described as a place {clause}?",
        "Judging from the view above, which part is a place {clause}?",
        "A planner needs to locate any place {clause}; what should be outlined?",
        "Can you tell which region of this overhead view is a place {clause}?",
        "Find whatever in these surroundings makes a place {clause}.",
        "Where would an expert on aerial views see a place {clause}?",
    ),
}
_MULTI = {
    "train": (
        "There are {count} of them: mark each place {clause}.",
        "Please find all {count} spots here that are a place {clause}.",
        "A survey has to visit every place {clause}; which {count} sites are on its list?",
        "Show me every place {clause}, and do not leave any of the {count} out.",
        "Which {count} separate parts of this landscape are each a place {clause}?",
        "If an inspector must check each place {clause}, where are the {count} stops?",
    ),
    "evaluation": (
        "The same use appears {count} times: outline each place {clause}.",
        "Which {count} regions would you name if asked for every place {clause}?",
        "A map should show each place {clause}; draw all {count} of them.",
        "Locate the {count} separate areas that are each a place {clause}.",
        "Not one but {count}: where is each place {clause}?",
        "Every one of {count} sites counts: find each place {clause}.",
    ),
}
_LARGEST = {
    "train": (
        "Several fit, so choose the {most} one: which place {clause} covers the {most} area?",
        "Of every place {clause}, which one takes up the {most} ground?",
        "Only the {most} matters here: show the place {clause} that is {most} of all.",
        "Compare each place {clause} by its extent; which is the {most}?",
        "If just the {most} place {clause} could be kept, which would it be?",
        "Someone wants the {most} place {clause}; where is it?",
    ),
    "evaluation": (
        "Rank by area every place {clause}, and give only the {most}.",
        "Which single place {clause} stands out as the {most} by ground area?",
        "By extent alone, point to the {most} place {clause}.",
        "More than one would do, but where is the {most} place {clause}?",
        "Find the place {clause}, and of several pick the {most}.",
        "A report on the {most} place {clause} is due; what should be outlined?",
    ),
}
_NEAREST = {
    "train": (
        "Several fit; which place {clause} lies closest to {landmark}?",
        "Starting at {landmark}, which place {clause} would one reach first?",
        "Of every place {clause}, show the one with the shortest way to {landmark}.",
        "Someone at {landmark} needs the nearest place {clause}; which one is it?",
        "Which place {clause} has {landmark} nearer than any other does?",
        "Point out the place {clause} that is a neighbour of {landmark}, rather than the ones farther off.",
    ),
    "evaluation": (
        "Measured from {landmark}, where is the closest place {clause}?",
        "Among several candidates, outline the place {clause} that is next to {landmark}.",
        "Which one place {clause} is separated from {landmark} by the shortest distance?",
        "A walker leaves {landmark} for the nearest place {clause}; where does the walk end?",
        "Ignore the distant ones: where is the place {clause} nearest to {landmark}?",
        "Pick the place {clause} that somebody beside {landmark} would see first.",
    ),
}
_DIRECTION = {
    "train": (
        "With north at the top, which place {clause} lies farthest {direction}?",
        "Several fit; show the {direction}ernmost place {clause}.",
        "Going {direction} across this land, what is the last place {clause}?",
        "Of every place {clause}, choose the one farthest to the {direction}.",
        "North is up: point out the place {clause} at the {direction}ern end.",
        "Which place {clause} has no other one to the {direction} of it?",
    ),
    "evaluation": (
        "Taking the top as north, outline the {direction}ernmost place {clause}.",
        "Which place {clause} would a pilot coming from the {direction} pass over first?",
        "More than one would do; farthest {direction} of them, where is the place {clause}?",
        "Nothing else of the kind lies farther {direction}: find this place {clause}.",
        "If the top is north, which place {clause} is at the {direction}ern edge of the group?",
        "Give only the {direction}ernmost among the sites that are a place {clause}.",
    ),
}
_FLOOD = {
    "train": (
        "After days of rain the water spreads over its banks: which place {clause} gets wet first?",
        "If the water rose metre by metre, which place {clause} would be lost before the others?",
        "Sandbags are short, so protect only the place {clause} that high water reaches first.",
        "Which place {clause} would have to be cleared first when a flood warning comes?",
        "Suppose the water spreads evenly: what is the first place {clause} that it touches?",
        "Of every place {clause}, which one has most to fear from high water?",
    ),
    "evaluation": (
        "Should the water come over its shore, which place {clause} goes under first?",
        "An insurer asks which place {clause} runs the highest risk from rising water.",
        "When the gauge climbs, at which place {clause} must people act before anyone else?",
        "Where is the place {clause} that the next flood is likely to reach earliest?",
        "Rising water would not treat all alike: which place {clause} suffers first?",
        "If only one place {clause} were to be flooded, which would it be?",
    ),
}
_FIRE = {
    "train": (
        "A blaze starts among the trees and spreads evenly: which place {clause} is in danger first?",
        "If the forest caught fire, which place {clause} should be hosed down before the others?",
        "Sparks fly from burning treetops; which place {clause} would they reach first?",
        "Which place {clause} needs a firebreak most, should the trees burn?",
        "Flames move out from the trees: what is the first place {clause} they come to?",
        "Of every place {clause}, which one would smoke from the trees threaten first?",
    ),
    "evaluation": (
        "Should the trees go up in flames, which place {clause} must be evacuated first?",
        "A fire marshal asks which place {clause} is most exposed to a blaze in the forest.",
        "Where is the place {clause} that flames spreading from the trees meet earliest?",
        "With the forest alight, at which place {clause} would one fear the heat first?",
        "Burning trees do not threaten all alike: which place {clause} is nearest to harm?",
        "If a spark could travel just a short way from the trees, which place {clause} is hit?",
    ),
}
_ANSWERS = {
    "function": (
        "It is the {name}, recognisable by {looks}; nothing else in view serves that purpose.",
        "The {name} fits, because it is the kind of place {clause}.",
        "Look for {looks}: this is the {name}, a place {clause}.",
    ),
    "multi-instance": (
        "The {count} {plural} in view are meant, each of them {looks}.",
        "The {count} {plural} belong together here, since each is a place {clause}.",
        "Each of the {count} {plural} has to be marked: {looks} is what a place {clause} looks like.",
    ),
    "relation": (
        "The {name} that is meant is the one {reason}; like the others it shows {looks}.",
        "Several {plural} are in view, but only the one {reason} is asked for.",
        "It is the {name} {reason}, a place {clause}; the other {plural} do not meet that condition.",
    ),
}


@dataclass(frozen=True)
class Target:
    """What the questions about a scene ask for.

    Attributes:
        mask: (height, width) bool; all False if nothing in the scene is the answer.
        reasoning_type: "function", "multi-instance", "superlative", "spatial relation", "condition" or "absence".
        templates: wordings for training and for evaluation.
        slots: values for the templates, besides the clause.
        reason: what distinguishes the target from other objects of its category, for the answers.
    """

    mask: np.ndarray
    reasoning_type: str
    templates: Mapping[str, tuple[str, ...]]
    slots: dict[str, str]
    reason: str = ""


def choose_target(rng: np.random.Generator, scene: RenderedScene, category: str) -> Target:
    """Choose a way to ask that is unambiguous in this scene.

    Args:
        rng: source of randomness.
        scene: scene to ask about; if it does not contain the category, the target is empty.
        category: category to ask about.
    """
    things = scene.of_kind(category)
    if not things:
        return Target(np.zeros(scene.image.shape[:2], bool), "absence", _FUNCTION, {})
    if len(things) > 1 and rng.random() > _PLAIN_SHARE:
        # Few scenes hold a landmark, so the questions that need one are tried first.
        beside_landmark: list[Callable[[], Target | None]] = [
            lambda: _condition(rng, scene, things, category),
            lambda: _nearest(rng, scene, things, category),
        ]
        anywhere: list[Callable[[], Target | None]] = [
            lambda: _multi(things),
            lambda: _superlative(rng, things),
            lambda: _direction(rng, things),
        ]
        for options in (beside_landmark, anywhere):
            for number in rng.permutation(len(options)):
                target = options[number]()
                if target is not None:
                    return target
    return _function(things)


def _function(things: list[SceneObject]) -> Target:
    mask: np.ndarray = np.logical_or.reduce([thing.mask for thing in things])
    return Target(mask, "function", _FUNCTION, {})


_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}


def _multi(things: list[SceneObject]) -> Target | None:
    if len(things) not in _NUMBERS:
        return None
    return Target(_function(things).mask, "multi-instance", _MULTI, {"count": _NUMBERS[len(things)]})


def _superlative(rng: np.random.Generator, things: list[SceneObject]) -> Target | None:
    ordered = sorted(things, key=lambda thing: thing.area)
    most = "largest" if rng.random() < 0.6 else "smallest"
    first, second = (ordered[-1], ordered[-2]) if most == "largest" else (ordered[0], ordered[1])
    if max(first.area, second.area) < MARGIN * min(first.area, second.area) or _cut_off(first):
        return None
    return Target(first.mask, "superlative", _LARGEST, {"most": most}, f"with the {most} area of all")


def _cut_off(thing: SceneObject) -> bool:
    """Whether the edge of the image cuts it off, so that its size is unknown."""
    mask = thing.mask
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def _landmarks(scene: RenderedScene, category: str) -> list[tuple[str, np.ndarray]]:
    """Return the landmarks of a scene, in words that name no category."""
    landmarks = []
    water = [thing.mask for thing in scene.objects if thing.kind in _WATER]
    if water and category not in (*_WATER, "beach", "pier", "bridge", "island", "dam"):
        landmarks.append(("the water", np.logical_or.reduce(water)))
    trees = [thing.mask for thing in scene.of_kind("woodland")]
    if trees and category != "woodland":
        landmarks.append(("the dense trees", np.logical_or.reduce(trees)))
    return landmarks


def _closest(things: list[SceneObject], landmark: np.ndarray) -> SceneObject | None:
    """Return the object nearest to the landmark; None unless the next one is clearly farther."""
    distance = distance_transform_edt(~landmark)
    ranked = sorted((float(distance[thing.mask].min()), number) for number, thing in enumerate(things))
    (near, first), (far, _) = ranked[0], ranked[1]
    if far < MARGIN * near or far - near < 0.05 * min(landmark.shape):
        return None
    return things[first]


def _nearest(rng: np.random.Generator, scene: RenderedScene, things: list[SceneObject], category: str) -> Target | None:
    landmarks = _landmarks(scene, category)
    if not landmarks:
        return None
    name, mask = landmarks[int(rng.integers(len(landmarks)))]
    thing = _closest(things, mask)
    if thing is None:
        return None
    return Target(thing.mask, "spatial relation", _NEAREST, {"landmark": name}, f"closest to {name}")


def _direction(rng: np.random.Generator, things: list[SceneObject]) -> Target | None:
    direction = str(rng.choice(("north", "south", "east", "west")))
    axis, sign = {"north": (0, 1), "south": (0, -1), "west": (1, 1), "east": (1, -1)}[direction]
    ranked = sorted((sign * thing.centre[axis], number) for number, thing in enumerate(things))
    if ranked[1][0] - ranked[0][0] < 0.12 * things[0].mask.shape[axis]:
        return None
    chosen = things[ranked[0][1]]
    return Target(chosen.mask, "spatial relation", _DIRECTION, {"direction": direction}, f"farthest to the {direction}")


def _condition(
    rng: np.random.Generator, scene: RenderedScene, things: list[SceneObject], category: str
) -> Target | None:
    stories = {
        "the water": (_FLOOD, "that rising water reaches first"),
        "the dense trees": (_FIRE, "that a blaze among the trees reaches first"),
    }
    landmarks = _landmarks(scene, category)
    if not landmarks:
        return None
    name, mask = landmarks[int(rng.integers(len(landmarks)))]
    thing = _closest(things, mask)
    if thing is None:
        return None
    templates, reason = stories[name]
    return Target(thing.mask, "condition", templates, {}, reason)


def write_questions(rng: np.random.Generator, target: Target, category: str, training: bool) -> list[str]:
    """Write six different questions about the target, in the wordings of training or of evaluation."""
    phrases = PHRASES[category]
    clauses = phrases.train if training else phrases.evaluation
    templates = target.templates["train" if training else "evaluation"]
    order = rng.permutation(len(templates))[:QUESTIONS]
    start = int(rng.integers(len(clauses)))
    return [
        templates[number].format(clause=clauses[(start + k) % len(clauses)], **target.slots)
        for k, number in enumerate(order)
    ]


def write_answers(rng: np.random.Generator, target: Target, category: str, training: bool) -> list[str]:
    """Write three answers that say what is meant and why; none if the target is empty."""
    if not target.mask.any():
        return []
    phrases = PHRASES[category]
    clauses = phrases.train if training else phrases.evaluation
    kind = target.reasoning_type if target.reasoning_type in _ANSWERS else "relation"
    chosen = rng.permutation(len(clauses))
    return [
        template.format(
            name=phrases.singular,
            plural=phrases.plural,
            looks=phrases.looks,
            clause=clauses[chosen[k % len(clauses)]],
            reason=target.reason,
            **target.slots,
        )
        for k, template in enumerate(_ANSWERS[kind])
    ]
