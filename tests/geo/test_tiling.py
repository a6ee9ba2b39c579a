import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthreason.errors import EarthReasonError
from earthreason.geo.grid import GeoGrid, Window
from earthreason.geo.tiling import (
    choose_side,
    lay_tiles,
    limited,
    tile_starts,
    whole_pixels,
    working_grid,
    world_origin,
)

NORTH_UP = (0.5, 0.0, 600_000.25, 0.0, -0.5, 5_000_000.0)


def test_tiles_by_hand():
    # step 48, origin 10: 10, 58, 106; the last tile of 200 pixels begins at 136
    assert tile_starts(200, 64, 48, 10) == [0, 10, 58, 106, 136]
    assert tile_starts(200, 64, 48) == [0, 48, 96, 136]
    assert tile_starts(64, 64, 48, 10) == [0]
    assert tile_starts(10, 64, 48, 10) == [0]


@given(st.integers(1, 300), st.integers(1, 300), st.integers(16, 80), st.floats(0, 0.9), st.integers(-500, 500))
def test_tiles_cover_every_pixel_and_the_last_is_flush(height, width, side, overlap, shift):
    tiling = lay_tiles(GeoGrid(height, width, (1.0, 0, float(shift), 0, -1.0, 0)), side, overlap)
    covered = np.zeros((height, width), int)
    for row in range(len(tiling.tops)):
        for tile in tiling.row(row):
            assert tile.right <= width
            assert tile.bottom <= height
            covered[tile.top : tile.bottom, tile.left : tile.right] += 1
    assert covered.min() >= 1


@given(
    st.tuples(st.floats(0.01, 40), st.floats(-1, 1), st.floats(-1e6, 1e6)),
    st.tuples(st.floats(-1, 1), st.floats(-40, -0.01), st.floats(-1e7, 1e7)),
    st.integers(0, 900),
    st.integers(0, 900),
)
def test_a_cut_has_the_tiles_of_the_whole_but_for_its_border(across, down, left, top):
    a, b, c = across
    d, e, f = down
    if abs(a * e - b * d) < 0.1 * max(abs(a), abs(b)) * max(abs(d), abs(e)):
        return  # nearly without an inverse
    whole = GeoGrid(1200, 1200, (a, b, c, d, e, f))
    part = whole.cut(Window(left, top, 300, 300))
    column, row = world_origin(whole)
    exact = (b * f - e * c) / (a * e - b * d) + 0.6282, (d * c - a * f) / (a * e - b * d) + 0.6282
    if min(abs(x - round(x)) for x in exact) < 1e-3 or max(map(abs, exact)) > 1e10:
        return  # at the edge that the constant keeps away from common grids, or past the precision of floats
    assert world_origin(part) == (column - left, row - top)


@pytest.mark.parametrize("shift", [0.0, 0.5, 0.25, 1 / 3, 0.1])
@pytest.mark.parametrize("pixel", [0.1, 0.3, 10.0, 1e-6, 2.5e-4])
def test_common_grids_are_cut_without_rounding_to_another_pixel(pixel, shift):
    whole = GeoGrid(90_000, 90_000, (pixel, 0, 1_234_567 * pixel + shift * pixel, 0, -pixel, 77_777 * pixel))
    for left in (1, 7, 1023, 65_537):
        assert world_origin(whole.cut(Window(left, left, 9, 9)))[0] == world_origin(whole)[0] - left


def test_south_up_and_rotated_grids_are_anchored_too():
    for transform in (
        (1.0, 0, 100.0, 0, 1.0, 200.0),
        (0.0, 2.0, 50.0, 2.0, 0.0, 90.0),
        (3.0, 4.0, 7.0, 4.0, -3.0, 1.0),
    ):
        whole = GeoGrid(500, 500, transform)
        part = whole.cut(Window(33, 71, 100, 100))
        assert world_origin(part) == (world_origin(whole)[0] - 33, world_origin(whole)[1] - 71)


def test_only_tiles_that_touch_the_area_remain():
    tiling = lay_tiles(GeoGrid(200, 200), 64, 0.25, Window(100, 0, 10, 10))
    assert tiling.tops == (0,)
    assert tiling.lefts == (48, 96)


@pytest.mark.parametrize(
    ("side", "overlap", "words"), [(8, 0.25, "too small"), (64, 0.95, "0 to 0.9"), (64, -1, "0.9")]
)
def test_impossible_tiles_are_one_line(side, overlap, words):
    with pytest.raises(EarthReasonError, match=words):
        lay_tiles(GeoGrid(100, 100), side, overlap)


def test_a_grid_hardly_larger_than_the_tile_is_one_tile():
    assert choose_side(GeoGrid(2000, 2048, NORTH_UP, "crs"), 1024) == 2048
    assert choose_side(GeoGrid(2000, 2049, NORTH_UP, "crs"), 1024) == 1024
    assert choose_side(GeoGrid(2000, 2048), 256) == 2048  # a plain picture
    assert choose_side(GeoGrid(600, 600, NORTH_UP, "crs"), 256) == 256


def test_the_working_grid_has_a_resolution_that_the_model_knows():
    grid = GeoGrid(400, 800, NORTH_UP)
    assert working_grid(grid, 0.5, None) == grid
    assert working_grid(grid, None, (1, 2)) == grid
    assert working_grid(grid, 0.5, (0.3, 2)) == grid
    coarser = working_grid(grid, 0.5, (1.0, 2.0))
    assert (coarser.height, coarser.width) == (200, 400)
    assert coarser.transform == (1.0, 0, 600_000.25, 0, -1.0, 5_000_000.0)
    finer = working_grid(grid, 0.5, (0.1, 0.25))
    assert (finer.height, finer.width) == (800, 1600)
    assert working_grid(grid, 0.5, (1.0, 2.0), gsd=0.5) == grid
    assert working_grid(grid, 0.5002, None, gsd=0.5) == grid


def test_enlarging_has_a_limit(caplog, monkeypatch):
    monkeypatch.setattr("earthreason.geo.tiling.logger.parent.propagate", True)
    grid = GeoGrid(10, 10, NORTH_UP)
    assert working_grid(grid, 10.0, (0.1, 0.5)).width == 80
    assert "doubtful" in caplog.text


@pytest.mark.parametrize(
    ("resolution", "gsd", "words"),
    [
        (0.5, 0.0005, "give 0.0625 to 200"),
        (0.5, 201, "give 0.0625 to 200"),
        (0.5, -1, "above 0"),
        (0.5, math.nan, "above 0"),
        (None, 1, "unknown"),
    ],
)
def test_an_unusable_gsd_is_one_line(resolution, gsd, words):
    with pytest.raises(EarthReasonError, match=words):
        working_grid(GeoGrid(400, 800, NORTH_UP), resolution, None, gsd)


def test_a_limited_grid_keeps_its_proportions():
    small = limited(GeoGrid(10_000, 20_000), 2_000_000)
    assert (small.height, small.width) == (1000, 2000)
    assert limited(GeoGrid(10, 20), 2_000_000) == GeoGrid(10, 20)


def test_windows_of_touched_pixels():
    grid = GeoGrid(10, 10)
    assert whole_pixels((1.5, 2.0, 3.2, 4.0), grid) == Window(1, 2, 3, 2)
    assert whole_pixels((-2, 9.9999999, 3, 12), grid) == Window(0, 9, 3, 1)
