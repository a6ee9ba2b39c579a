"""Scores of answers in words: by hand on a picture of 20 x 10 pixels, and against `evaluate` on the same masks."""

import json

import numpy as np
import pytest
from PIL import Image

from earthreason import evaluate
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.grounding.profiles import PROFILES
from earthreason.grounding.scoring import AskedQuestion, merge_counts, read_targets, score_answer, summarize
from earthreason.masks.rle import encode_mask

WIDTH, HEIGHT = 20, 10
THOUSAND = PROFILES["thousand"]


def asked(*boxes, sample_id="a"):
    """A question whose target is the union of boxes of pixels."""
    truth = np.zeros((HEIGHT, WIDTH), bool)
    for left, top, right, bottom in boxes:
        truth[top:bottom, left:right] = True
    return AskedQuestion(sample_id, 0, "Where?", [encode_mask(truth)])


def scores(text, *boxes, profile=THOUSAND):
    return summarize([score_answer(text, asked(*boxes), profile, "native")])


@pytest.mark.parametrize(
    ("profile", "box"),
    [
        ("fraction", [0.25, 0.2, 0.75, 0.6]),
        ("thousand", [250, 200, 750, 600]),
        ("thousand-yx", [200, 250, 600, 750]),
    ],
)
@pytest.mark.parametrize("key", ["bbox", "bbox_2d", "box"])
def test_the_box_of_the_target_is_right_in_every_unit_and_under_every_key(profile, box, key):
    found = scores(json.dumps([{key: box}]), (5, 2, 15, 6), profile=PROFILES[profile])
    assert (found["box_giou"], found["box_ciou"], found["box_acc"], found["point_hit"]) == (1, 1, 1, 1)
    assert (found["t_acc"], found["n_acc"], found["unreadable"], found["mask_giou"]) == (1, None, 0, None)


def test_pixel_coordinates_are_those_of_the_image_that_was_sent():
    # 20 x 10 pixels are sent as 84 x 56, the least area that Qwen2.5-VL takes in multiples of 28.
    assert PROFILES["pixels"].sent_size(WIDTH, HEIGHT) == (84, 56)
    assert scores('{"bbox_2d": [21, 0, 63, 28]}', (5, 0, 15, 5), profile=PROFILES["pixels"])["box_giou"] == 1


def test_half_a_box_has_half_the_iou_and_is_accurate_at_one_half():
    found = scores('{"bbox": [250, 200, 500, 600]}', (5, 2, 15, 6))
    assert (found["box_giou"], found["box_acc"]) == (0.5, 1)
    assert scores('{"bbox": [250, 200, 450, 600]}', (5, 2, 15, 6))["box_acc"] == 0


def test_several_boxes_are_united():
    # 4 x 4 and 4 x 4 pixels, of which the second misses: 16 / (16 + 16); one of two centres lies on the target.
    found = scores('[{"bbox": [0, 0, 200, 400]}, {"bbox": [600, 0, 800, 400]}]', (0, 0, 4, 4))
    assert (found["box_giou"], found["point_hit"], found["box_acc"]) == (0.5, 0.5, 0)


def test_reversed_corners_are_turned():
    assert scores('{"bbox": [750, 600, 250, 200]}', (5, 2, 15, 6))["box_giou"] == 1


def test_points_hit_or_miss_and_mark_one_pixel_as_a_mask():
    found = scores('[{"point_2d": [250, 200]}, {"point": [749, 599]}, {"point_2d": [750, 600]}]', (5, 2, 15, 6))
    assert found["point_hit"] == pytest.approx(2 / 3)
    assert found["box_giou"] == pytest.approx(2 / 41)  # two of its 40 pixels, and one beside it
    assert (found["t_acc"], found["unreadable"]) == (1, 0)


def test_points_of_a_region_count_instead_of_its_centre():
    text = '{"bbox": [0, 0, 1000, 1000], "point_2d": [10, 10]}'
    assert scores(text, (0, 0, 4, 4))["point_hit"] == 1
    assert scores('{"bbox": [0, 0, 1000, 1000]}', (0, 0, 4, 4))["point_hit"] == 0


@pytest.mark.parametrize("text", ["none", "None.", '"none"', "`null`", "[]", '{"bbox": "none"}', '{"targets": []}'])
def test_none_is_right_only_where_there_is_no_target(text):
    empty, target = scores(text), scores(text, (5, 2, 15, 6))
    assert (empty["n_acc"], empty["box_giou"], empty["point_hit"], empty["t_acc"]) == (1, 1, None, None)
    assert (target["t_acc"], target["box_giou"], target["point_hit"], target["unreadable"]) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "There is no such thing in this image.",
        '{"bbox": [250, 200',
        '{"bbox": [250, 200, 750]}',
        '{"bbox": [NaN, 200, 750, 600]}',
        '{"bbox": [1e999, 200, 750, 600]}',
        f'{{"bbox": [1{"0" * 400}, 200, 750, 600]}}',
        '{"bbox": [250, 200, 7500, 6000]}',
        '{"bbox": [250, 200, 250, 600]}',
        "[" * 900 + "]" * 900,
        "[" * 9000,
        "<think>[250, 200, 750, 600]",
        "\ud800{\x00",
    ],
)
def test_what_cannot_be_read_is_wrong_whatever_the_target_is_and_stops_nothing(text):
    for boxes in ((), ((5, 2, 15, 6),)):
        found = scores(text, *boxes)
        assert (found["unreadable"], found["box_giou"]) == (1, 0)
        assert found["n_acc"] in (0, None)
        assert found["point_hit"] in (0, None)


def test_states_survive_json_and_merge_to_the_figures_of_evaluate():
    truth = {"a": asked((5, 2, 15, 6)), "b": asked(sample_id="b"), "c": asked((0, 0, 8, 8), sample_id="c")}
    texts = {"a": '{"bbox": [0, 0, 500, 1000]}', "b": "prose", "c": "none"}
    states = [json.loads(json.dumps(score_answer(texts[name], truth[name], THOUSAND, "lisa"))) for name in texts]
    half = np.zeros((HEIGHT, WIDTH), bool)
    half[:, :10] = True
    records = [
        {"sample_id": "a", "segmentation": encode_mask(half)},
        {"sample_id": "b", "segmentation": None, "failure": "prose"},
        {"sample_id": "c", "segmentation": None},
    ]
    result = evaluate(records, {name: one.truth for name, one in truth.items()}, "lisa", resamples=0)
    assert merge_counts(states).compute() == dict(result)
    found = summarize(reversed(states))
    assert (found["box_giou"], found["box_ciou"], found["n_acc"]) == (result["gIoU"], result["cIoU"], result["N-acc"])


def test_states_of_different_settings_do_not_merge():
    states = [score_answer("none", asked(), profile, "native") for profile in (THOUSAND, PROFILES["fraction"])]
    with pytest.raises(EarthReasonError, match="different settings cannot be merged: .*thousand.*fraction"):
        summarize(states)
    with pytest.raises(EarthReasonError, match="no question was asked"):
        summarize([])


def test_an_unknown_protocol_is_named():
    with pytest.raises(UnknownNameError, match="native"):
        score_answer("none", asked(), THOUSAND, "nativ")


class WholeImage:
    name = "everything"

    def draw(self, image, targets):
        if targets[0].box is None:
            raise ValueError("it needs a box")
        return np.ones((image.height, image.width), bool)


def test_a_drawer_has_scores_of_its_own_beside_those_of_the_boxes():
    image = Image.new("RGB", (WIDTH, HEIGHT))
    text = '{"bbox": [0, 0, 500, 1000]}'
    found = summarize([score_answer(text, asked((0, 0, 10, 10)), THOUSAND, "native", WholeImage(), image)])
    assert (found["box_giou"], found["mask_giou"], found["mask_ciou"]) == (1, 0.5, 0.5)
    found = summarize([score_answer("none", asked(), THOUSAND, "native", WholeImage(), image)])
    assert (found["n_acc"], found["mask_giou"]) == (1, 1)


def test_what_the_drawer_cannot_draw_is_unreadable():
    image = Image.new("RGB", (WIDTH, HEIGHT))
    text = '{"point_2d": [10, 10]}'
    found = summarize([score_answer(text, asked((0, 0, 10, 10)), THOUSAND, "native", WholeImage(), image)])
    assert (found["unreadable"], found["mask_giou"]) == (1, 0)
    with pytest.raises(EarthReasonError, match="needs the image"):
        score_answer(text, asked(), THOUSAND, "native", WholeImage())


def test_a_question_is_taken_from_a_row_with_its_separate_targets_and_what_is_ignored():
    masks = [np.zeros((HEIGHT, WIDTH), np.uint8) for _ in range(3)]
    masks[0][:4, :4], masks[1][5:, 5:9], masks[2][:, 19] = 255, 255, 255
    row = {
        "sample_id": "s", "image": Image.new("RGB", (WIDTH, HEIGHT)), "questions": ["One?", "Two?"], "answers": [],
        "mask": Image.fromarray(masks[0] | masks[1]), "targets": [Image.fromarray(mask) for mask in masks[:2]],
        "ignore": Image.fromarray(masks[2]),
    }  # fmt: skip
    one = AskedQuestion.of_row(row, 1)
    assert (one.question, one.question_index, one.width, one.height) == ("Two?", 1, WIDTH, HEIGHT)
    assert one == AskedQuestion(**json.loads(json.dumps(one.to_dict())))
    assert one.truth == [encode_mask(mask > 0) for mask in masks[:2]]
    text = '{"bbox": [0, 0, 1000, 400]}'  # 80 pixels, 4 of them ignored; the targets have 16 and 20
    found = summarize([score_answer(text, AskedQuestion.of_row(row), THOUSAND, "native")])
    assert found["box_giou"] == 16 / (76 + 20)
    with pytest.raises(EarthReasonError, match="native scores the first question of an image, not that of index 1"):
        score_answer(text, one, THOUSAND, "native")
    with pytest.raises(EarthReasonError, match="has 2 questions, and none of index 2"):
        AskedQuestion.of_row(row, 2)


def test_targets_are_fractions_of_the_image():
    (target,) = read_targets("[250, 200, 750, 600]", THOUSAND, WIDTH, HEIGHT)
    assert target.box == [0.25, 0.2, 0.75, 0.6]
