"""The bars of benchmarks/shortcuts.py on few scenes, and its measures on numbers worked by hand."""

import numpy as np
import pytest

from benchmarks import shortcuts
from benchmarks.shortcuts import Facts
from earthreason.synthetic.generate import Composition
from earthreason.synthetic.questions import Target
from earthreason.synthetic.scene import RenderedScene, SceneObject

COUNT = 168
"""Six scenes of each of the 28 categories."""


@pytest.fixture(scope="module")
def scenes():
    return shortcuts.draw(COUNT, seed=1, split="test", size=128, empty_share=0.3)


def test_marking_the_largest_object_does_not_pay(scenes):
    # The standard error of 168 scenes is 0.03, and the bar for empty_share 0.12 is 0.30.
    assert shortcuts.oracle_by_type(scenes)["all"][1] <= 0.30


def test_the_asked_object_is_seldom_the_largest(scenes):
    assert shortcuts.share_largest(scenes) <= 0.35 + 0.08  # two standard errors of about 118 scenes


@pytest.mark.parametrize("tokens", [shortcuts.words, shortcuts.word_pairs])
def test_words_do_not_reveal_an_empty_target(scenes, tokens):
    assert abs(shortcuts.emptiness_auc(scenes, tokens) - 0.5) <= 0.12  # 0.05 of 2,000 scenes


def test_categories_and_questions_vary(scenes):
    texts = [text for scene in scenes for text in scene.questions]
    assert max(sum(scene.category == other.category for other in scenes) for scene in scenes) <= 0.08 * COUNT
    assert len(set(texts)) >= 0.95 * len(texts)
    assert shortcuts.most_common_share(texts, shortcuts.content_words)[1] <= 0.34
    assert shortcuts.most_common_share(texts, shortcuts.opening)[1] <= 0.05
    assert 19 <= np.mean([len(text.split()) for text in texts]) <= 24  # the paper's mean is 20.86 words


def test_every_reasoning_type_has_empty_targets(scenes):
    shares = {}
    for scene in scenes:
        shares.setdefault(scene.reasoning_type, []).append(scene.empty)
    assert set(shares) == {"function", "multi-instance", "superlative", "spatial relation", "condition"}
    drawn = np.concatenate([values for name, values in shares.items() if name != "function"])
    assert 0.15 < drawn.mean() < 0.45  # 0.3 with about 80 scenes, three standard errors


def composition(mask, *objects):
    items = tuple(SceneObject(kind, item) for kind, item in objects)
    scene = RenderedScene(np.zeros((*mask.shape, 3), np.uint8), 1.0, "wild", items)
    return Composition(scene, Target(mask, "function", "function"), [], [], {"category": "lake"})


def test_the_oracle_marks_the_largest_labelled_object():
    lake, quarry, road = np.zeros((3, 10, 10), bool)
    lake[:2], quarry[4:7], road[8:] = True, True, True
    road[7] = True
    made = shortcuts.facts_of(composition(lake, ("lake", lake), ("quarry", quarry), ("road", road)))
    assert (made.oracle, made.largest, made.labelled, made.empty) == (0.0, False, 2, False)
    made = shortcuts.facts_of(composition(quarry | lake, ("lake", lake), ("quarry", quarry), ("road", road)))
    assert (made.oracle, made.largest) == (0.6, True)  # 30 of 50 pixels
    made = shortcuts.facts_of(composition(np.zeros((10, 10), bool), ("quarry", quarry)))
    assert (made.oracle, made.largest, made.empty) == (0.0, False, True)


def test_the_area_under_the_curve_counts_pairs():
    # Of the six pairs of a positive and a negative, the positive scores higher in five and the same in one: 5.5 of 6.
    scores, positive = np.array([1.0, 2.0, 2.0, 3.0, 0.0]), np.array([False, True, False, True, False])
    assert shortcuts.auc(scores, positive) == pytest.approx(5.5 / 6)


def test_a_word_that_only_empty_targets_have_is_found():
    def scene(number, empty):
        text = f"where is place {number % 7}" + (" please" if empty else "")
        return Facts("lake", "function", [text], empty, 1, False, 0.0)

    told = [scene(number, number % 3 == 0) for number in range(90)]
    assert shortcuts.emptiness_auc(told, shortcuts.words) == 1.0
    untold = [Facts("lake", "function", ["where is it"], number % 3 == 0, 1, False, 0.0) for number in range(90)]
    assert abs(shortcuts.emptiness_auc(untold, shortcuts.words) - 0.5) < 0.2
