import itertools
import re
from dataclasses import replace

import numpy as np
import pytest

from earthreason.synthetic.categories import CATEGORIES, FEATURES
from earthreason.synthetic.generate import SPLITS, generate_scene
from earthreason.synthetic.phrases import load_phrases
from earthreason.synthetic.questions import (
    WORDINGS,
    choose_target,
    draw_landmark,
    possible_wordings,
    write_answers,
    write_questions,
)
from earthreason.synthetic.scene import RenderedScene, SceneObject


def scene_with(*things):
    """Objects as (kind, top, left, bottom, right) on 100 x 100 pixels."""
    objects = []
    for kind, top, left, bottom, right in things:
        mask = np.zeros((100, 100), bool)
        mask[top:bottom, left:right] = True
        objects.append(SceneObject(kind, mask))
    return RenderedScene(np.zeros((100, 100, 3), np.uint8), 1.0, "wild", tuple(objects))


def chosen(scene, category, wording, tries=40):
    """The targets of one kind of question, those that the scene does not allow left out."""
    made = [choose_target(np.random.default_rng(seed), scene, category, [wording]) for seed in range(tries)]
    return [target for target in made if target is not None]


def test_nothing_of_the_kind_has_no_target():
    assert choose_target(np.random.default_rng(0), scene_with(("lake", 10, 10, 40, 40)), "pier") is None


def test_a_single_object_is_described_by_its_function():
    scene = scene_with(("pier", 10, 10, 40, 40))
    assert {choose_target(np.random.default_rng(s), scene, "pier").reasoning_type for s in range(30)} == {"function"}


def test_an_empty_target_keeps_its_type_and_questions_and_has_no_answers():
    scene = scene_with(("pier", 10, 10, 20, 40), ("pier", 60, 60, 70, 90))
    (target,) = chosen(scene, "pier", "multi-instance", 1)
    empty = target.without_objects()
    assert (empty.reasoning_type, empty.mask.any()) == ("multi-instance", False)
    for split in SPLITS:
        with_object, without = (write_questions(np.random.default_rng(4), t, "pier", split) for t in (target, empty))
        assert with_object == without
        assert write_answers(np.random.default_rng(0), empty, "pier", split) == []


def test_categories_that_never_repeat_are_asked_by_function_alone():
    single = {name for name in CATEGORIES if FEATURES[name].repeat == 1}
    assert {name for name in CATEGORIES if possible_wordings(name) == ("function",)} == single
    assert "flood" not in possible_wordings("island")
    assert "flood" in possible_wordings("tennis court")


def test_distances_from_trees_are_asked_only_where_the_surroundings_can_have_trees(monkeypatch):
    paved = replace(FEATURES["tennis court"], settings=("urban", "industrial"))  # woodland grows in neither
    monkeypatch.setitem(FEATURES, "tennis court", paved)
    assert {"nearest", "flood"} <= set(possible_wordings("tennis court"))
    assert "fire" not in possible_wordings("tennis court")
    assert {draw_landmark(np.random.default_rng(s), "tennis court", "nearest") for s in range(20)} == {"water"}
    court = [("tennis court", 10, 10, 14, 14), ("tennis court", 80, 80, 84, 84)]
    assert chosen(scene_with(*court, ("woodland", 20, 20, 30, 30)), "tennis court", "nearest") == []


@pytest.mark.parametrize(
    "things",
    [
        (("tennis court", 0, 10, 20, 30), ("tennis court", 60, 60, 80, 80)),  # cut off by the edge
        (("tennis court", 10, 10, 20, 30), ("tennis court", 20, 30, 40, 50)),  # they touch at a corner
    ],
)
def test_only_whole_objects_that_stand_apart_are_counted(things):
    assert chosen(scene_with(*things), "tennis court", "multi-instance", 3) == []


def test_an_object_in_two_pieces_is_not_counted():
    scene = scene_with(("tennis court", 10, 10, 30, 30), ("tennis court", 60, 60, 80, 80))
    scene.objects[0].mask[20:22] = False
    for wording in ("multi-instance", "superlative", "direction"):
        assert chosen(scene, "tennis court", wording) == []


def test_function_and_multi_instance_mean_all_of_them():
    scene = scene_with(("pier", 10, 10, 20, 40), ("pier", 60, 60, 70, 90))
    for wording in ("function", "multi-instance"):
        (target,) = chosen(scene, "pier", wording, 1)
        assert (target.mask.sum(), target.count) == (600, 2)
    assert target.slots == {"count": "two"}


def test_a_superlative_needs_a_clear_margin():
    clear = scene_with(("pier", 10, 10, 50, 50), ("pier", 60, 60, 80, 80))
    close = scene_with(("pier", 10, 10, 30, 30), ("pier", 60, 60, 80, 81))
    assert {int(t.mask.sum()) for t in chosen(clear, "pier", "superlative")} == {1600, 400}
    assert chosen(close, "pier", "superlative") == []


def test_what_the_edge_cuts_off_may_be_larger_than_it_looks():
    # The cut one is not known to be the smallest, nor the other to be the largest.
    scene = scene_with(("pier", 0, 10, 20, 30), ("pier", 60, 60, 90, 90))
    assert chosen(scene, "pier", "superlative") == []
    scene = scene_with(("pier", 0, 10, 50, 50), ("pier", 60, 60, 80, 80))
    assert {(t.slots["most"], int(t.mask.sum())) for t in chosen(scene, "pier", "superlative")} == {("smallest", 400)}


@pytest.mark.parametrize("wording", ["nearest", "flood"])
def test_the_nearest_to_the_water_is_the_nearest(wording):
    scene = scene_with(("river", 0, 0, 100, 10), ("factory", 10, 20, 30, 40), ("factory", 60, 70, 80, 90))
    found = chosen(scene, "factory", wording)
    assert found
    for target in found:
        assert target.landmark == "water"
        assert target.mask[:, :50].sum() == target.mask.sum() == 400
    assert chosen(scene, "factory", "fire", 3) == []


@pytest.mark.parametrize("wording", ["nearest", "flood"])
def test_two_at_equal_distance_are_not_distinguished_by_it(wording):
    scene = scene_with(("river", 0, 45, 100, 55), ("factory", 10, 20, 30, 40), ("factory", 60, 60, 80, 80))
    assert chosen(scene, "factory", wording) == []


def test_directions_mean_the_outermost():
    scene = scene_with(("pier", 10, 20, 30, 40), ("pier", 60, 60, 80, 80))
    found = {t.slots["direction"]: bool(t.mask[:50].any()) for t in chosen(scene, "pier", "direction")}
    assert found == {"north": True, "west": True, "south": False, "east": False}


@pytest.mark.parametrize("split", SPLITS)
def test_samples_ask_six_different_questions_that_do_not_name_the_target(split):
    lengths, answer_lengths = [], []
    for index in range(28):
        sample = generate_scene(11, split, index, (128, 128))
        assert len(set(sample.questions)) == 6
        assert len(sample.answers) == (0 if sample.is_empty else 3)
        for question in sample.questions:
            for word in load_phrases(sample.category).forbidden:
                assert not re.search(rf"\b{word}", question, re.IGNORECASE), question
        lengths += [len(question.split()) for question in sample.questions]
        answer_lengths += [len(answer.split()) for answer in sample.answers]
    assert 19 < np.mean(lengths) < 25  # the paper's mean is 20.86 words
    assert min(lengths) >= 8
    assert max(lengths) <= 48
    assert 18 < np.mean(answer_lengths) < 32  # and 26.76


def test_questions_hold_no_unfilled_slot_and_begin_and_end_as_sentences():
    rng = np.random.default_rng(0)
    landmarks = [("river", 0, 0, 100, 10), ("woodland", 0, 90, 100, 100)]
    scene = scene_with(*landmarks, ("factory", 10, 20, 30, 40), ("factory", 60, 50, 90, 85))
    for wording, split in itertools.product(WORDINGS, SPLITS):
        for target in chosen(scene, "factory", wording, 12):
            texts = write_questions(rng, target, "factory", split) + write_answers(rng, target, "factory", split)
            for text in texts:
                assert re.fullmatch(r"[A-Z][^{}]*[.?]", text), text
                assert "  " not in text
                assert not re.search(r"\b[Aa] [aeio]|\b[Aa]n [^aeiouh]", text), text


def test_answers_for_several_objects_speak_of_several():
    scene = scene_with(("pier", 10, 10, 20, 40), ("pier", 60, 60, 70, 90))
    (target,) = chosen(scene, "pier", "function", 1)
    for split in SPLITS:
        for answer in write_answers(np.random.default_rng(0), target, "pier", split):
            assert "piers" in answer
            assert "the pier " not in answer
