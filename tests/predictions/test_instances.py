"""Merging of several masks for one question."""

import numpy as np
import pytest

from earthreason.masks.rle import encode_mask
from earthreason.predictions.instances import merge_instances
from earthreason.types import Prediction

LEFT, RIGHT = np.eye(4, dtype=bool), np.eye(4, dtype=bool)[::-1]


def merge(*predictions):
    faults = []
    merged = list(merge_instances(predictions, faults))
    assert not faults
    return merged


def test_a_question_with_one_mask_stays_as_it_is_wherever_it_stands():
    single = Prediction("a", encode_mask(LEFT), 0, 0.5, "here", (encode_mask(LEFT),))
    parts = [Prediction("b", encode_mask(mask)) for mask in (LEFT, RIGHT)]
    union = Prediction("b", encode_mask(LEFT | RIGHT))
    assert merge(single, *parts) == [single, union]
    assert merge(*parts, single) == [union, single]
    assert merge(parts[0], single, parts[1]) == [union, single]


def test_questions_of_one_sample_are_not_merged():
    parts = [Prediction("a", encode_mask(mask), index) for index, mask in enumerate((LEFT, RIGHT))]
    assert merge(*parts) == parts


def test_answers_of_no_target_stay_no_target():
    assert merge(Prediction("a", None, 2), Prediction("a", None, 2)) == [Prediction("a", None, 2)]
    assert merge(Prediction("a", None), Prediction("a", encode_mask(LEFT))) == [Prediction("a", encode_mask(LEFT))]


@pytest.mark.parametrize(("scores", "highest"), [((None, None), None), ((None, -1.0), -1.0), ((0.0, -1.0), 0.0)])
def test_the_highest_score_is_kept(scores, highest):
    (merged,) = merge(*(Prediction("a", None, score=score) for score in scores))
    assert merged.score == highest
