"""Measures of a set of questions against values worked out by hand."""

import numpy as np
import pytest

from earthreason.questions.checks import QuestionSet
from earthreason.questions.measures import measure_set, nearest_alike, spread, vendi_score
from earthreason.questions.shortcuts import guess_from_words


def test_texts_of_one_meaning_count_as_one():
    assert vendi_score(np.array([[1.0, 0.0], [1.0, 0.0]])) == pytest.approx(1)


def test_texts_at_right_angles_count_each():
    assert vendi_score(np.eye(4)) == pytest.approx(4)


def test_the_nearest_question_is_one_about_another_image():
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8]])
    assert nearest_alike(vectors, np.array([0, 0, 1])).tolist() == pytest.approx([0.6, 0.6, 0.6])


def test_one_image_has_no_nearest_questions():
    assert len(nearest_alike(np.eye(2), np.array([0, 0]))) == 0


def test_equal_frequencies_are_even():
    assert spread(["a", "b", None, "a", "b"]).evenness == pytest.approx(1)
    assert spread(["a", "b", "a", "b"]).largest == pytest.approx(0.5)


def test_three_to_one_has_the_entropy_of_the_textbook():
    assert spread(["a", "a", "a", "b"]).evenness == pytest.approx(0.8113, abs=1e-4)  # bits of a coin of 1/4


def test_runs_of_words_are_counted_once():
    sets = [QuestionSet("a", ("Where is it?",)), QuestionSet("b", ("Where is that?",))]
    measures = measure_set(sets, np.eye(2))
    assert measures.distinct == pytest.approx([4 / 6, 3 / 4, 1])
    assert measures.openings == [("where is it", 0.5), ("where is that", 0.5)]
    assert measures.shortcuts == []


def shuffled(telling):
    """300 questions about 100 images, half of them empty; `telling` words occur in empty ones only."""
    draw = np.random.default_rng(0)
    rows = []
    for image in range(100):
        empty = image % 2 == 0
        for _ in range(3):
            words = list(draw.choice(["boat", "tree", "roof", "road", "field", "barn", "sand", "lamp"], 5))
            rows.append((" ".join([*words, telling if empty else "wall"]), str(empty), str(image)))
    return zip(*rows, strict=True)


def test_a_telling_word_is_found():
    found = guess_from_words("emptiness", *shuffled("absent"))
    assert found.accuracy == pytest.approx(1)
    assert found.words["True"][0] == "absent"
    assert (found.chance, found.questions, found.classes) == (0.5, 300, 2)


def test_words_that_tell_nothing_are_near_chance():
    found = guess_from_words("emptiness", *shuffled("wall"))
    assert found.low < 0.5 < found.high


def test_a_fact_of_few_images_is_left_out():
    questions, truths, images = ["a b", "c d"] * 20, ["yes", "no"] * 20, ["1", "2"] * 20
    assert guess_from_words("emptiness", questions, truths, images) is None


def test_words_and_numbers_of_any_alphabet_are_counted():
    sets = [QuestionSet("a", ("Wo könnte man 12 Boote anbinden?",)), QuestionSet("b", ("船はどこ？",))]
    measures = measure_set(sets, np.eye(2))
    assert measures.distinct[0] == 1.0
    assert ("wo könnte man", 0.5) in measures.openings
    assert "" not in dict(measures.openings)
