"""Polygons against the masks that OpenCV made of them."""

import json

import numpy as np
import pytest

from earthreason.data.sources.reasonseg import draw_shapes
from earthreason.masks.drawing import draw_polygon
from earthreason.masks.rle import decode_rle
from tests.conftest import SHARED

GOLDEN = SHARED / "goldens" / "polygons" / "shapes.json"


def drawn(points, height=6, width=8):
    return draw_polygon(np.zeros((height, width), np.uint8), points, 1).tolist()


def rows(*text):
    return [[int(letter == "#") for letter in row] for row in text]


def test_every_golden_case_agrees_in_every_pixel():
    if not GOLDEN.is_file():
        pytest.skip("../shared/goldens is not here")
    cases = json.loads(GOLDEN.read_text())["cases"]
    assert len(cases) == 40
    for case in cases:
        target, ignore = draw_shapes(case["shapes"], case["height"], case["width"])
        assert np.array_equal(target, decode_rle(case["target"])), case["id"]
        assert np.array_equal(ignore, decode_rle(case["ignore"])), case["id"]


def test_the_outline_is_part_of_the_polygon_and_fractions_are_cut():
    square = [[1.9, 1.9], [4.9, 1.2], [4.1, 3.9], [1.5, 3.1]]
    assert drawn(square) == rows("........", ".####...", ".####...", ".####...", "........", "........")


def test_vertices_may_lie_one_past_the_border_or_far_outside():
    assert drawn([[6, 4], [8, 4], [8, 6], [6, 6]]) == rows(*["........"] * 4, "......##", "......##")
    assert drawn([[-900, -900], [900, -900], [900, 900], [-900, 900]]) == [[1] * 8] * 6


def test_a_polygon_past_the_border_is_filled_as_opencv_4_11_to_5_0_fill_it():
    # OpenCV 4.9 and 4.10 also fill the three pixels left of the lower part; each version was run by itself.
    picture = rows("...####.", "...#####", "...#####", "....####", "....####", "....####")
    assert drawn([[3, -2], [12, 3], [4, 9]]) == picture


def test_a_polygon_that_crosses_itself_is_filled_by_the_even_odd_rule():
    # Twice around the same square: the inside is covered twice, so only the outline remains.
    square = [[1, 1], [5, 1], [5, 4], [1, 4]]
    assert drawn([*square, *square]) == rows("........", ".#####..", ".#...#..", ".#...#..", ".#####..", "........")


@pytest.mark.parametrize(
    ("points", "picture"),
    [
        ([], rows(*["........"] * 6)),
        ([[2, 1]], rows("........", "..#.....", *["........"] * 4)),
        ([[2, 1], [4, 1]], rows("........", "..###...", *["........"] * 4)),
    ],
)
def test_fewer_than_three_vertices_draw_what_opencv_draws(points, picture):
    assert drawn(points) == picture


@pytest.mark.parametrize("points", [[[1, 2, 3]], [[float("nan"), 1], [2, 2]], [[1e12, 1], [2, 2]], [1, 2], [["a", 1]]])
def test_what_is_no_polygon_is_refused(points):
    with pytest.raises(ValueError):  # noqa: PT011
        drawn(points)


def test_smaller_shapes_are_drawn_over_larger_ones_whatever_they_are():
    def shape(label, low, high):
        return {"label": label, "points": [[low, low], [high, low], [high, high], [low, high]]}

    shapes = [shape("target", 4, 5), shape("Ignore_area", 2, 7), shape("target", 0, 9), shape("flagged", 0, 9)]
    target, ignore = draw_shapes(shapes, 10, 10)
    assert (target.sum(), ignore.sum()) == (100 - 36 + 4, 36 - 4)
    assert not (target & ignore).any()
    # Of two shapes with as many pixels, LISA draws the last first.
    target, ignore = draw_shapes([shape("target", 0, 4), shape("ignore", 2, 6)], 10, 10)
    assert (target.sum(), ignore.sum()) == (25, 25 - 9)


def test_vertices_are_up_to_ten_times_the_longest_side_away():
    far = 1_000_000
    assert drawn([[-far, -far], [far, -far], [far, far], [-far, far]]) == [[1] * 8] * 6
    with pytest.raises(ValueError, match=r"the vertex \[1000001\.0, 0\.0\] is far outside"):
        drawn([[0, 0], [far + 1, 0], [0, 5]])
    with pytest.raises(ValueError, match=r"a polygon is a list of \[x, y\], not an array of shape \(1, 3\)"):
        drawn([[1, 2, 3]])
