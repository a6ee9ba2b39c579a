import numpy as np
import pytest
from PIL import Image, ImageDraw

from earthreason.synthetic.canvas import Canvas, largest_part
from earthreason.synthetic.geometry import dilate, inner_distance
from earthreason.synthetic.shapes import Spot, overlap


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


def test_the_union_of_shapes_has_the_pixels_of_each(canvas):
    boxes = [Spot(x, y, 0, 0.3).box(9, 6) for x, y in ((12, 20), (40, 44), (75, 58))]
    assert np.array_equal(canvas.mask_of(canvas.regions(boxes)), canvas.mask_of(*map(canvas.region, boxes)))
    centres, widths = np.array([(20.0, 15.0), (50.0, 30.0)]), np.array([10.0, 21.0])
    drawn = canvas.mask_of(canvas.discs(centres, widths))
    rows, columns = np.mgrid[:60, :80]
    distance = np.stack([np.hypot(columns - x, rows - y) - w / 2 for (x, y), w in zip(centres, widths, strict=True)])
    assert drawn[(distance < -1.2).any(axis=0)].all()
    assert not drawn[(distance > 1.2).all(axis=0)].any()
    assert not canvas.mask_of(canvas.regions([]), canvas.strokes([], 3)).any()


@pytest.mark.parametrize("away", [4, 10, 40])
def test_regions_overlap_in_the_pixels_that_both_have(canvas, away):
    one, other = square(canvas, 20, 30, 20), canvas.region(Spot(20 + away, 33, 0, 0.5).box(14, 25))
    assert np.array_equal(canvas.mask_of(overlap(one, other)), canvas.mask_of(one) & canvas.mask_of(other))


@pytest.mark.parametrize("r", [0, 1, 3, 80])
def test_dilation_covers_the_square_around_each_pixel(r):
    mask = np.zeros((40, 50), np.uint8)
    mask[5, 7] = mask[39, 20] = 1
    rows, columns = np.mgrid[:40, :50]
    expected = [np.maximum(abs(rows - y), abs(columns - x)) <= r for y, x in ((5, 7), (39, 20))]
    assert np.array_equal(dilate(mask, r), np.logical_or(*expected))


def test_a_long_thin_line_is_painted_like_any_other_shape():
    canvas = Canvas(np.random.default_rng(0), 300, 300, 1.0)
    line = canvas.stroke(np.array([(5.0, 5.0), (290.0, 280.0)]), 3)
    canvas.fill(line, (0.5, 0.25, 1.0), grain=0)
    canvas.fill(line, (0.1, 0.25, 0.0), grain=0, opacity=0.5)
    assert np.allclose(canvas.image[canvas.mask_of(line)], (0.3, 0.25, 0.5))
    assert not canvas.image[~canvas.mask_of(line)].any()


def test_distances_inside_a_mask_are_those_from_the_nearest_pixel_outside():
    mask = np.ones((20, 30), bool)
    mask[4, 5] = False
    rows, columns = np.mgrid[:20, :30]
    assert np.allclose(inner_distance(mask), np.hypot(rows - 4, columns - 5), atol=1e-4)
    assert (inner_distance(np.ones((3, 4), bool)) > 3).all()
