import numpy as np
import pytest
from scipy.ndimage import label

from earthreason.synthetic.canvas import Canvas
from earthreason.synthetic.colours import PALETTES
from earthreason.synthetic.terrain import CROSSING, clear_stretch, paint_roads, paint_water


@pytest.fixture
def canvas():
    return Canvas(np.random.default_rng(0), 120, 200, 1.0)


def across(y=60.0, start=-20.0, stop=220.0):
    return np.stack([np.linspace(start, stop, 30), np.full(30, y)], axis=1)


def band(canvas, left, right):
    mask = np.zeros((canvas.height, canvas.width), bool)
    mask[:, left:right] = True
    return mask


def drawn(canvas, kind="road"):
    return canvas.owner == canvas.kinds.index(kind) if kind in canvas.kinds else np.zeros_like(canvas.reserved)


def test_the_longer_part_of_a_road_is_kept_clear_of_what_it_must_not_cross(canvas):
    part = clear_stretch(canvas, across(), 8.0, band(canvas, 60, 80))
    # It begins half a width and a pixel behind the obstacle at the least.
    assert 85 <= part[:, 0].min() <= 90
    assert part[:, 0].max() >= 200 + 4  # the edge of the image, and half a width


def test_a_road_that_must_begin_where_its_path_begins_ends_at_the_first_obstacle(canvas):
    part = clear_stretch(canvas, across(), 8.0, band(canvas, 60, 80), from_start=True)
    assert part[:, 0].min() == pytest.approx(-20)
    assert 50 <= part[:, 0].max() <= 55


def test_a_stump_is_not_drawn(canvas):
    blocked = band(canvas, 0, 200) & ~band(canvas, 100, 110)
    assert len(clear_stretch(canvas, across(), 8.0, blocked)) == 0


def test_no_road_goes_on_in_line_behind_an_obstacle(canvas):
    canvas.reserved = band(canvas, 60, 80)
    paint_roads(canvas, [across(), across(61.0, -20.0, 50.0)], 8)
    paint_roads(canvas, [across(60.0, -20.0, 50.0)], 8)
    assert label(drawn(canvas))[1] == 1
    assert not drawn(canvas)[:, :80].any()


def test_roads_that_cross_leave_a_labelled_crossing(canvas):
    down = np.stack([np.full(30, 100.0), np.linspace(-20, 140, 30)], axis=1)
    paint_roads(canvas, [across()], 8)
    assert CROSSING not in canvas.kinds
    paint_roads(canvas, [down], 8)
    rows, columns = np.nonzero(drawn(canvas, CROSSING))
    assert (rows.mean(), columns.mean()) == (pytest.approx(60, abs=1), pytest.approx(100, abs=1))
    assert rows.size == pytest.approx(64, rel=0.35)


def test_later_objects_keep_off_roads(canvas):
    paint_roads(canvas, [across()], 8)
    assert canvas.reserved[drawn(canvas)].all()


def test_water_is_as_shallow_beside_a_thin_spit_as_along_a_shore(canvas):
    wet = np.ones((canvas.height, canvas.width), bool)
    wet[:, :40] = wet[59:62, :120] = False  # land on the left, and a spit of 3 pixels
    canvas.grain[:] = 0
    paint_water(canvas, wet, PALETTES[0], shore=12.0)
    beside_shore, beside_spit, deep = (
        canvas.image[box].mean(axis=(0, 1)) for box in (np.s_[5:30, 40:42], np.s_[62:64, 80:110], np.s_[5:30, 120:160])
    )
    assert np.abs(beside_shore - beside_spit).max() < 0.25 * np.abs(beside_shore - deep).max()
