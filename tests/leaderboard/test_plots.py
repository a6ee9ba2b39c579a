"""Radars: places on the spokes worked by hand, and what pages draw of the categories."""

from xml.etree import ElementTree

import pytest

from leaderboard.web.plots import draw_radar
from tests.leaderboard.toys import METADATA, make_predictions


def test_four_spokes_point_up_right_down_and_left():
    drawn = draw_radar(["a", "b", "c", "d"], [[1.0, 0.5, 0.1, 0.0], [0.0, 0.0, 0.0, 1.0]])
    assert [spoke["end"] for spoke in drawn["spokes"]] == [(0, -110), (110, 0), (0, 110), (-110, 0)]
    assert drawn["shapes"][0] == "0.0,-110.0 55.0,0.0 0.0,11.0 0.0,0.0"
    assert drawn["shapes"][1] == "0.0,0.0 0.0,0.0 0.0,0.0 -110.0,0.0"
    assert [spoke["anchor"] for spoke in drawn["spokes"]] == ["middle", "start", "middle", "end"]
    assert [ring["text"] for ring in drawn["rings"]] == ["25", "50", "75", "100"]


def test_labels_of_many_spokes_run_along_them_and_are_never_upside_down():
    drawn = draw_radar([str(n) for n in range(28)], [[0.5] * 28])
    assert all(-90 <= spoke["turned"] - 360 * (spoke["turned"] > 180) <= 90 for spoke in drawn["spokes"])
    assert drawn["spokes"][7]["turned"] == 0  # a quarter round, to the right
    assert drawn["spokes"][21]["turned"] == 360  # to the left


@pytest.mark.parametrize("groups", [[], ["a"], ["a", "b"]])
def test_fewer_than_three_groups_have_no_radar(groups):
    assert draw_radar(groups, [[0.5] * len(groups)]) is None


def radars(page):
    start = page.find('<svg class="plot radar"')
    return None if start < 0 else ElementTree.fromstring(page[start : page.index("</svg>", start) + 6])


def test_model_and_comparison_draw_their_categories(hand, references):
    rows = [
        hand.published(
            make_predictions(references, seed, noise),
            split="toy/open",
            metadata={**METADATA, "model": f"M{seed} <&>"},
        )
        for seed, noise in ((1, 0.0), (2, 0.3))
    ]
    drawn = radars(hand.client.get(f"/models/{rows[0]}").text)
    texts = [text.text for text in drawn.iter("text")]
    assert texts[:3] == ["class 0", "class 1", "class 2"]
    shape = next(one for one in drawn.iter("polygon") if "shape" in one.get("class"))
    # The truth itself: 100 per cent on each spoke, 120 degrees apart.
    assert shape.get("points") == "0.0,-110.0 95.26,55.0 -95.26,55.0"
    both = radars(hand.client.get(f"/compare?ids={rows[0]}&ids={rows[1]}").text)
    shapes = [one for one in both.iter("polygon") if "shape" in one.get("class")]
    assert [one.find("title").text for one in shapes] == ["M1 <&>", "M2 <&>"]


def test_a_hidden_split_draws_no_category_that_it_does_not_show(hand, references):
    row = hand.published(make_predictions(references))
    assert radars(hand.client.get(f"/models/{row}").text) is None
