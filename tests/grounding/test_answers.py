"""Answers in the style of five model families, and what has no single meaning."""

import pytest

from earthreason.grounding.answers import Grounding, Target, place, read_answer
from earthreason.grounding.profiles import PROFILES
from earthreason.questions.servers.replies import strict_schema

BOX = [100, 200, 300, 400]


def regions(text):
    return [(target.box, target.points) for target in read_answer(text).targets]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Qwen2.5-VL and Qwen3-VL
        ('```json\n[\n\t{"bbox_2d": [100, 200, 300, 400], "label": "pier"}\n]\n```', [(BOX, [])]),
        ('```json\n[{"point_2d": [150, 250], "label": "pier"}]\n```', [(None, [[150, 250]])]),
        ('{"bbox_2d": [100, 200, 300, 400], "point_2d": [150, 250], "label": "pier"}', [(BOX, [[150, 250]])]),
        ("<|object_ref_start|>the pier<|object_ref_end|><|box_start|>(100,200),(300,400)<|box_end|>", [(BOX, [])]),
        ('<think>The pier may be at [1, 2, 3, 4].</think>\n[{"bbox_2d": [100, 200, 300, 400]}]', [(BOX, [])]),
        ('I see no fence [7].</think>{"bbox_2d": [100, 200, 300, 400]}', [(BOX, [])]),
        # Gemini
        ('Here is the box:\n```json\n[{"box_2d": [100, 200, 300, 400], "label": "pier"}]\n```\nDone.', [(BOX, [])]),
        ('[{"point": [1, 2], "label": "a"}, {"point": [3, 4], "label": "b"}]', [(None, [[1, 2]]), (None, [[3, 4]])]),
        # InternVL
        ("<ref>pier</ref><box>[[100, 200, 300, 400]]</box>", [(BOX, [])]),
        ("<ref>piers</ref><box>[[100, 200, 300, 400], [1, 2, 3, 4]]</box>", [(BOX, []), ([1, 2, 3, 4], [])]),
        # GPT
        ('{"targets": [{"box": [100, 200, 300, 400], "points": [[1, 2], [3, 4]]}]}', [(BOX, [[1, 2], [3, 4]])]),
        ('{"found": true, "box": [100, 200, 300, 400], "points": []}', [(BOX, [])]),
        ('{"reason": "a {odd} \\"pier\\"", "result": {"objects": [{"bbox": [100, 200, 300, 400]}]}}', [(BOX, [])]),
        # Others
        ("The region is [100, 200, 300, 400].", [(BOX, [])]),
        ("As in [7], the box is {'box': [100.0, 200.0, 300.0, 400.0,], 'points': None}", [(BOX, [])]),
        ('Rows [2, 5] show it: {"box": [100, 200, 300, 400]}', [(BOX, [])]),
        ('{"bbox_2d": [100, 200, 300, 400]}\n{"bbox_2d": [1, 2, 3, 4]}', [(BOX, []), ([1, 2, 3, 4], [])]),
        ('{"box": [[100, 200], [300, 400]]}', [(BOX, [])]),
        ('{"boxes": [[100, 200, 300, 400], [1, 2, 3, 4]], "points": [[2, 3], [150, 250], [900, 900]]}',
         [(BOX, [[150, 250]]), ([1, 2, 3, 4], [[2, 3]]), (None, [[900, 900]])]),
        ('{"boxes": [[0, 0, 9, 9], [5, 5, 20, 20]], "points": [[7, 7]]}',
         [([0, 0, 9, 9], [[7, 7]]), ([5, 5, 20, 20], [])]),
        (r'{"why": "the \"]}", "box": [100, 200, 300, 400], "points": [[1, 2]]}', [(BOX, [[1, 2]])]),
        ('{"box": [0.1, 0.2, 0.3, 0.4]}', [([0.1, 0.2, 0.3, 0.4], [])]),
        ("<think>A pier.</think><answer><|begin_of_box|>[[100,200,300,400]]<|end_of_box|></answer>", [(BOX, [])]),
        ("<|ref|>pier<|/ref|><|det|>[[100, 200, 300, 400]]<|/det|>", [(BOX, [])]),
        ('{"targets": [{"box": ["100", "200", "300", "400"], "points": [["1", "2"]]}]}', [(BOX, [[1, 2]])]),
        ('{"box": "[100, 200, 300, 400]", "label": "[A]"}', [(BOX, [])]),
        ('The pier: {"x1": 100, "y1": 200, "x2": 300, "y2": 400}', [(BOX, [])]),
        ('[{"label": "pier", "xmin": 100, "ymin": 200, "xmax": 300, "ymax": 400}]', [(BOX, [])]),
        ('{"bbox": {"x": 100, "y": 200, "width": 200, "height": 200}}', [(BOX, [])]),
        ('{"targets": [{"box": {"left": 100, "top": 200, "right": 300, "bottom": 400}}]}', [(BOX, [])]),
        ('{"point": {"x": 1, "y": 2}}', [(None, [[1, 2]])]),
    ],
)  # fmt: skip
def test_an_answer_is_read(text, expected):
    assert regions(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        "None.",
        "```json\n[]\n```",
        "Nothing here answers the question. []",
        '{"targets": []}',
        '{"found": false, "box": null, "points": []}',
        '[{"bbox_2d": null, "label": "none"}]',
        "<think>Is it [1, 2, 3, 4]? No.</think>[]",
    ],
)
def test_an_answer_that_says_there_is_nothing_is_no_target(text):
    assert regions(text) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no box or point"),
        ("I cannot help with that.", "no box or point"),
        ('{"label": "pier"}', "no box or point"),
        ('{"label": "pier", "scores": [0.9, 0.1], "tags": []}', "no box or point"),
        ("{", "no box or point"),
        ('{"box": [100, 200, 300]}', "a box is 4 numbers"),
        ('{"box": "top left"}', "a box is 4 numbers"),
        ('{"box": [NaN, 1, 2, 3]}', "a box is 4 numbers"),
        ('{"box": [true, 1, 2, 3]}', "a box is 4 numbers"),
        ('{"point_2d": [1, 2, 3]}', "a point is 2 numbers"),
        ('{"found": true, "box": null, "points": []}', "neither box nor point"),
        ("<box>[[1, 2, 3, 4, 5]]</box>", "four numbers"),
        ("<box></box>", "four numbers"),
        ("<think>The pier may be at [1, 2, 3, 4], or", "within its thoughts"),
        ('{"box": {"x1": 1, "y1": 2}}', "a box is 4 numbers"),
    ],
)
def test_what_has_no_single_meaning_is_an_error_and_not_no_target(text, reason):
    with pytest.raises(ValueError, match=reason):
        read_answer(text)


# The same place, a quarter from the left and half from the top of an image 400 wide and 200 high, in every profile.
@pytest.mark.parametrize(
    ("profile", "box", "point"),
    [
        ("pixels", [100, 100, 200, 150], [150, 120]),
        ("thousand", [250, 500, 500, 750], [375, 600]),
        ("thousand-yx", [500, 250, 750, 500], [600, 375]),
        ("fraction", [0.25, 0.5, 0.5, 0.75], [0.375, 0.6]),
        ("internvl", [250, 500, 500, 750], [375, 600]),
    ],
)
def test_every_profile_places_the_same_region(profile, box, point):
    answer = Grounding(targets=[Target(box=box, points=[point])])
    (target,) = place(answer, PROFILES[profile], 400, 200)
    assert target.box == pytest.approx([0.25, 0.5, 0.5, 0.75])
    assert target.points[0] == pytest.approx([0.375, 0.6])


@pytest.mark.parametrize("profile", ["thousand", "thousand-yx"])
def test_coordinates_with_names_need_no_order(profile):
    text = '{"x1": 250, "y1": 500, "x2": 500, "y2": 750, "point": {"x": 375, "y": 600}}'
    (target,) = place(read_answer(text, PROFILES[profile].y_first), PROFILES[profile], 400, 200)
    assert target.box == pytest.approx([0.25, 0.5, 0.5, 0.75])
    assert target.points[0] == pytest.approx([0.375, 0.6])


def placed(*targets):
    answer = Grounding(targets=[Target(box=box, points=points) for box, points in targets])
    return [(target.box, target.points) for target in place(answer, PROFILES["thousand"], 400, 200)]


def test_reversed_corners_are_turned():
    assert placed(([300, 400, 100, 200], [])) == [([0.1, 0.2, 0.3, 0.4], [])]


def test_a_box_without_area_leaves_its_points():
    assert placed(([100, 200, 100, 400], [[100, 300]])) == [(None, [[0.1, 0.3]])]


def test_a_box_without_area_beside_a_good_one_is_left_out():
    assert placed(([5, 5, 5, 5], []), ([100, 200, 300, 400], [])) == [([0.1, 0.2, 0.3, 0.4], [])]


def test_boxes_without_area_alone_are_an_error():
    with pytest.raises(ValueError, match="no area"):
        placed(([5, 5, 5, 5], []))


def test_a_coordinate_just_outside_moves_to_the_side_and_one_far_outside_is_an_error():
    assert placed(([-20, 0, 1020, 1000], [])) == [([0, 0, 1, 1], [])]  # 2 % on either side
    for box, value in (([-21, 0, 1000, 1000], -21), ([0, 0, 1000, 1021], 1021), ([0, 0, 1400, 1000], 1400)):
        with pytest.raises(ValueError, match=f"coordinate {value} is outside the image"):
            placed((box, []))


def test_the_schema_is_strict():
    schema = strict_schema(Grounding)
    assert schema["required"] == ["targets"]
    assert schema["$defs"]["Target"]["required"] == ["box", "points"]
    assert schema["$defs"]["Target"]["additionalProperties"] is False


@pytest.mark.parametrize(
    "text",
    [
        "目标框：［300，250，700，750］。",
        "｛＂box＂：［３００，２５０，７００，７５０］｝",
        "目标位于 {“”} [300, 250, 700, 750] 处。",
        "<box>3e2, 2.5E+2, 7e2, 75e1</box>",
    ],
)
def test_full_width_characters_and_exponents_are_the_numbers_they_write(text):
    [target] = read_answer(text).targets
    assert target.box == [300, 250, 700, 750]


def test_a_backslash_in_prose_warns_nobody(recwarn):
    assert regions(r"""{'label': 'the pier \d', 'bbox': [100, 200, 300, 400]}""") == [(BOX, [])]
    assert not recwarn.list
