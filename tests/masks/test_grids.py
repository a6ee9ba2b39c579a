import numpy as np
import pytest

from earthreason.errors import UnknownNameError
from earthreason.masks.grids import Grid, grid_weights, nearest_indices, place_on_grid


@pytest.mark.parametrize("name", ["native", "letterbox-1024", "stretch-840"])
def test_names_round_trip(name):
    assert Grid.parse(name).name == name


@pytest.mark.parametrize("name", ["", "letterbox", "letterbox-0", "stretch--5", "letterbox-1024 ", "crop-3"])
def test_other_names_are_refused(name):
    with pytest.raises(UnknownNameError, match="letterbox-1024"):
        Grid.parse(name)


def test_sizes_are_truncated_as_the_reference_does():
    # 103 * (1024 / 103) is 1023.9999999999999 in double precision.
    assert Grid("letterbox", 1024).resized_shape(103, 103) == (1024, 1023)


def test_padding_is_centred_with_the_odd_row_below():
    grid = Grid("letterbox", 8)
    assert grid.resized_shape(3, 8) == (3, 8)
    assert grid.padding(3, 8) == (2, 0)


def test_nearest_indices_follow_the_floor_rule():
    assert nearest_indices(2, 5).tolist() == [0, 0, 0, 1, 1]
    assert nearest_indices(5, 2).tolist() == [0, 2]


def test_weights_count_every_grid_row_once():
    rows, columns = grid_weights(Grid("letterbox", 100), 30, 70)
    assert rows.sum() == Grid("letterbox", 100).resized_shape(30, 70)[0]
    assert columns.sum() == 100


def test_letterbox_keeps_the_mask_in_the_middle():
    placed = place_on_grid(np.ones((2, 4), bool), Grid("letterbox", 8))
    assert placed[2:6].all()
    assert not placed[:2].any()
    assert not placed[6:].any()
