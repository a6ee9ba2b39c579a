import re
from importlib import resources

import numpy as np
import pytest

from earthreason.synthetic.categories import CATEGORIES, HELD_OUT_CATEGORIES
from earthreason.synthetic.generate import generate_scene
from earthreason.synthetic.phrases import load_phrases, load_templates
from earthreason.synthetic.questions import choose_target, write_answers, write_questions
from earthreason.synthetic.scene import RenderedScene, SceneObject


def scene_with(*things):
    """Objects as (kind, top, left, bottom, right) on 100 x 100 pixels."""
    objects = []
    for kind, top, left, bottom, right in things:
        mask = np.zeros((100, 100), bool)
        mask[top:bottom, left:right] = True
        objects.append(SceneObject(kind, mask))
    return RenderedScene(np.zeros((100, 100, 3), np.uint8), 1.0, "wild", tuple(objects))


def targets(scene, category, tries=80):
    return [choose_target(np.random.default_rng(seed), scene, category) for seed in range(tries)]


def test_every_category_has_wordings_that_do_not_name_it():
    files = resources.files("earthreason.synthetic") / "wording" / "phrases"
    assert {path.name for path in files.iterdir()} == {f"{name.replace(' ', '_')}.toml" for name in CATEGORIES}
    for phrases in map(load_phrases, CATEGORIES):
        for clause in (*phrases.clauses("train"), *phrases.clauses("evaluation")):
            for word in phrases.forbidden:
                assert not re.search(rf"\b{word}", clause, re.IGNORECASE), clause


def test_training_has_no_wording_for_held_out_categories():
    assert {category for category in CATEGORIES if not load_phrases(category).clauses("train")} == HELD_OUT_CATEGORIES


def test_training_and_evaluation_share_no_wording():
    for phrases in map(load_phrases, CATEGORIES):
        assert not set(phrases.clauses("train")) & set(phrases.clauses("evaluation"))
    for name, templates in load_templates().questions.items():
        assert not set(templates["train"]) & set(templates["evaluation"]), name


def test_nothing_of_the_kind_is_an_absence_without_answers():
    scene = scene_with(("lake", 10, 10, 40, 40))
    (target, *_) = targets(scene, "stadium", 1)
    assert target.reasoning_type == "absence"
    assert not target.mask.any()
    assert write_answers(np.random.default_rng(0), target, "stadium", training=False) == []


def test_a_single_object_is_described_by_its_function():
    assert {t.reasoning_type for t in targets(scene_with(("lake", 10, 10, 40, 40)), "lake")} == {"function"}


def test_function_and_multi_instance_mean_all_of_them():
    scene = scene_with(("pier", 10, 10, 20, 40), ("pier", 60, 60, 70, 90))
    for target in targets(scene, "pier"):
        if target.reasoning_type in ("function", "multi-instance"):
            assert target.mask.sum() == 600


def test_a_superlative_needs_a_clear_margin():
    clear = scene_with(("stadium", 10, 10, 50, 50), ("stadium", 60, 60, 80, 80))
    close = scene_with(("stadium", 10, 10, 30, 30), ("stadium", 60, 60, 80, 81))
    found = [t for t in targets(clear, "stadium") if t.reasoning_type == "superlative"]
    assert {int(t.mask.sum()) for t in found} == {1600, 400}
    assert not [t for t in targets(close, "stadium") if t.reasoning_type == "superlative"]


def test_an_object_cut_off_by_the_edge_is_no_superlative():
    scene = scene_with(("stadium", 0, 10, 50, 50), ("stadium", 60, 60, 80, 80))
    for target in targets(scene, "stadium"):
        if target.reasoning_type == "superlative":
            assert target.slots["most"] == "smallest"


def test_the_nearest_to_the_water_is_the_nearest():
    scene = scene_with(("river", 0, 0, 100, 10), ("stadium", 10, 20, 30, 40), ("stadium", 60, 70, 80, 90))
    for target in targets(scene, "stadium"):
        if target.slots.get("landmark") == "the water" or target.reasoning_type == "condition":
            assert target.mask[:, :50].any()
            assert not target.mask[:, 50:].any()


def test_two_at_equal_distance_are_not_distinguished_by_it():
    scene = scene_with(("river", 0, 45, 100, 55), ("stadium", 10, 20, 30, 40), ("stadium", 60, 60, 80, 80))
    assert not [t for t in targets(scene, "stadium") if "landmark" in t.slots or t.reasoning_type == "condition"]


def test_directions_mean_the_outermost():
    scene = scene_with(("stadium", 10, 20, 30, 40), ("stadium", 60, 60, 80, 80))
    found = {t.slots["direction"]: bool(t.mask[:50].any()) for t in targets(scene, "stadium") if "direction" in t.slots}
    assert found == {"north": True, "west": True, "south": False, "east": False}


@pytest.mark.parametrize("split", ["train", "val"])
def test_samples_ask_six_different_questions_that_do_not_name_the_target(split):
    lengths, answer_lengths, types = [], [], set()
    for index in range(60):
        sample = generate_scene(11, split, index, (128, 128))
        assert len(set(sample.questions)) == 6
        assert len(sample.answers) == (0 if sample.is_empty else 3)
        assert (sample.reasoning_type == "absence") == sample.is_empty
        for question in sample.questions:
            for word in load_phrases(sample.category).forbidden:
                assert not re.search(rf"\b{word}", question, re.IGNORECASE), question
        lengths += [len(question.split()) for question in sample.questions]
        answer_lengths += [len(answer.split()) for answer in sample.answers]
        types.add(sample.reasoning_type)
    assert 18 < np.mean(lengths) < 27  # the paper's mean is 20.86 words
    assert 22 < np.mean(answer_lengths) < 32  # and 26.76
    assert len(types) >= 4


def test_questions_hold_no_unfilled_slot():
    rng = np.random.default_rng(0)
    landmarks = [("river", 0, 0, 100, 10), ("woodland", 0, 90, 100, 100)]
    stadiums = [("stadium", 10, 20, 30, 40), ("stadium", 60, 50, 90, 85)]
    scene = scene_with(*landmarks, *stadiums)
    for target in targets(scene, "stadium", 200):
        for training in (True, False):
            texts = write_questions(rng, target, "stadium", training) + write_answers(rng, target, "stadium", training)
            assert not [text for text in texts if "{" in text or "}" in text]
