import numpy as np
import pytest
from PIL import Image, ImageDraw

from earthreason.synthetic.canvas import Canvas, largest_part
from earthreason.synthetic.shapes import Spot


@pytest.fixture
def canvas():
    return Canvas(np.random.default_rng(0), 60, 80, 1.0)


def square(canvas, x, y, side):
    return canvas.region(Spot(x, y, 0, 0).box(side, side))


def test_no_object_takes_the_pixels_of_another(canvas):
    assert canvas.claim("lake", square(canvas, 20, 30, 20))
    before = canvas.owner == 0
    for kind in ("factory", "road", "building"):
        canvas.claim(kind, square(canvas, 30, 30, 20))
    assert np.array_equal(canvas.owner == 0, before)


def test_an_object_needs_ground_that_is_not_reserved(canvas):
    canvas.reserve(square(canvas, 20, 30, 20))
    assert not canvas.claim("lake", square(canvas, 30, 30, 20))
    assert canvas.claim("lake", square(canvas, 60, 30, 20))


def test_what_is_drawn_later_does_not_hide_an_object(canvas):
    lake, other = square(canvas, 20, 30, 20), square(canvas, 24, 30, 20)
    canvas.claim("lake", lake)
    canvas.fill(lake, (0.1, 0.2, 0.3), grain=0)
    with canvas.kept():
        canvas.fill(other, (1, 1, 1), grain=0)
    wet = canvas.mask_of(lake)
    assert np.allclose(canvas.image[wet], (0.1, 0.2, 0.3))
    assert np.allclose(canvas.image[canvas.mask_of(other) & ~wet], 1)


def test_the_largest_part_is_kept():
    mask = np.zeros((5, 9), bool)
    mask[1, 1:3], mask[1:4, 5:8] = True, True
    assert np.argwhere(largest_part(mask)).min(axis=0).tolist() == [1, 5]
    assert largest_part(mask).sum() == 9
    assert not largest_part(mask & False).any()


def test_shapes_have_the_pixels_that_pillow_draws(canvas):
    rng = np.random.default_rng(1)
    for _ in range(20):
        corners = rng.uniform(-20, 100, (5, 2))
        for width in (0, 1, 5, 12):
            drawn = canvas.strokes([corners], width) if width else canvas.region(corners)
            expected = Image.new("1", (80, 60))
            points = [tuple(corner) for corner in corners.tolist()]
            if width:
                ImageDraw.Draw(expected).line(points, fill=1, width=width, joint="curve")
            else:
                ImageDraw.Draw(expected).polygon(points, fill=1)
            assert np.array_equal(canvas.mask_of(drawn), np.asarray(expected))


def test_the_only_free_place_is_found(canvas):
    canvas.reserved[:] = True
    canvas.reserved[30:51, 40:61] = False  # room for one disc of radius 10, around row 40 and column 50
    assert canvas.find_spot(11, thorough=True) is None
    spot = canvas.find_spot(10, tries=0, thorough=True)
    assert (int(spot.x), int(spot.y)) == (50, 40)
    avoid = np.zeros((60, 80), bool)
    avoid[40, 50] = True
    assert canvas.find_spot(10, avoid=avoid, thorough=True) is None
