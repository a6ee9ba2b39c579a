"""Plan and draw the scenes of the configuration `diagnostic`, which is balanced by what it tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from earthreason.synthetic.categories import CATEGORIES, HELD_OUT_CATEGORIES
from earthreason.synthetic.generate import generate_scene
from earthreason.synthetic.questions import WORDINGS, possible_wordings
from earthreason.synthetic.sizes import draw_size
from earthreason.types import Sample

_FUNCTION = "function"
_OTHERS = ("multi-instance", "superlative", "spatial relation", "condition")
_STRATA = (("train", False, 90, 65), ("test", False, 100, 75), ("test", True, 90, 40))
"""Split of the wording, whether the categories are held out, and scenes about a function and of each other type.

13 of the 28 categories, among them two of the four held out, can only be asked for by their function.
"""
SCENES = sum(functions + len(_OTHERS) * others for *_, functions, others in _STRATA)
_EMPTIES_OF_TEN = 3
_EXTREMES = ((123, 123), (2048, 2048), (123, 369), (369, 123), (2048, 683), (683, 2048))
"""Heights and widths that occur whatever is drawn."""


@dataclass(frozen=True)
class Plan:
    """What a scene of the set is to be.

    Attributes:
        category: category to ask about.
        reasoning_type: type of the questions.
        wording: split whose wording the questions have, "train" or "test".
        empty: whether the target is empty.
        size: height and width in pixels.
    """

    category: str
    reasoning_type: str
    wording: str
    empty: bool
    size: tuple[int, int]


def plan_diagnostic(seed: int) -> list[Plan]:
    """Plan the 1,000 scenes, in an order in which any run of consecutive scenes is mixed.

    Each category of each stratum and reasoning type has its share of empty targets, so that neither category nor type
    tells that a target is empty.
    """
    asked = [
        (wording, kind, category)
        for wording, held_out, functions, others in _STRATA
        for kind, category in _share_out(
            [name for name in CATEGORIES if (name in HELD_OUT_CATEGORIES) == held_out],
            {**dict.fromkeys(_OTHERS, others), _FUNCTION: functions},
        )
    ]
    tens = [_EMPTIES_OF_TEN * number // 10 for number in range(len(asked) + 1)]
    rng = np.random.default_rng(seed)
    order = [int(number) for number in rng.permutation(len(asked))]
    sizes = [draw_size(rng) for _ in order]
    for place, size in zip(rng.choice(len(order), len(_EXTREMES), replace=False), _EXTREMES, strict=True):
        sizes[int(place)] = size
    return [
        Plan(category, kind, wording, tens[number + 1] > tens[number], size)
        for number, size in zip(order, sizes, strict=True)
        for wording, kind, category in [asked[number]]
    ]


def _share_out(categories: list[str], counts: dict[str, int]) -> list[tuple[str, str]]:
    """Share the scenes of each type among the categories that can have it, the least used first; sort the result."""
    used = dict.fromkeys(categories, 0)
    shared = []
    for kind, scenes in counts.items():
        able = [name for name in categories if kind in {WORDINGS[wording] for wording in possible_wordings(name)}]
        for _ in range(scenes):
            category = min(able, key=used.__getitem__)
            used[category] += 1
            shared.append((kind, category))
    return sorted(shared)


def draw_planned(seed: int, number: int, plan: Plan) -> Sample:
    """Draw a planned scene; the same arguments always give the same bytes.

    Args:
        seed: seed of the set.
        number: place of the scene in the set, from 0.
        plan: what it is to be.
    """
    # Some scenes leave no room for the type of question; the next index, unlike that of every other scene, draws anew.
    drawn = (
        generate_scene(
            seed,
            "test",
            index,
            plan.size,
            empty_share=float(plan.empty),
            wording=plan.wording,
            categories=[plan.category],
            reasoning_type=plan.reasoning_type,
        )
        for index in count(number, step=SCENES)
    )
    sample = next(sample for sample in drawn if sample.reasoning_type == plan.reasoning_type)
    return replace(sample, sample_id=f"diagnostic_{number:04d}")
