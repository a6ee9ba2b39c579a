import numpy as np
import pytest

from earthreason.errors import UnknownNameError
from earthreason.masks.grids import Grid, bilinear_indices, grid_weights, nearest_indices, place_on_grid
from earthreason.masks.rle import decode_rle, encode_mask, resample_rle


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


@pytest.mark.parametrize(
    ("height", "width", "resized", "padding"),
    [
        (8, 8, (8, 8), (0, 0)),
        (4, 8, (4, 8), (2, 0)),
        (3, 8, (3, 8), (2, 0)),  # 5 rows of padding: 2 above, 3 below
        (8, 3, (8, 3), (0, 2)),  # 5 columns: 2 on the left, 3 on the right
        (7, 8, (7, 8), (0, 0)),  # 1 row, which goes below
        (8, 7, (8, 7), (0, 0)),
        (5, 10, (4, 8), (2, 0)),
        (10, 3, (8, 2), (0, 3)),  # 3 * 8 / 10 = 2.4 columns are cut to 2
        (1, 100, (0, 8), (4, 0)),  # 0.08 of a row: nothing is left
    ],
)
def test_padding_is_centred_with_the_odd_row_below_and_column_right(height, width, resized, padding):
    grid = Grid("letterbox", 8)
    assert grid.resized_shape(height, width) == resized
    assert grid.padding(height, width) == padding
    assert grid.shape(height, width) == (8, 8)
    placed = np.zeros((8, 8), bool)
    placed[padding[0] : padding[0] + resized[0], padding[1] : padding[1] + resized[1]] = True
    assert np.array_equal(place_on_grid(np.ones((height, width), bool), grid), placed)
    assert np.array_equal(decode_rle(resample_rle(encode_mask(np.ones((height, width))), grid)), placed)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4)])
def test_other_grids_have_no_padding(shape):
    assert Grid("stretch", 6).resized_shape(*shape) == Grid("stretch", 6).shape(*shape) == (6, 6)
    assert Grid("native").resized_shape(*shape) == Grid("native").shape(*shape) == shape
    assert Grid("stretch", 6).padding(*shape) == Grid("native").padding(*shape) == (0, 0)


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


@pytest.mark.parametrize(("source", "side"), [(3, 255), (15, 255), (2, 100), (9, 101), (7, 840), (2100, 840), (40, 33)])
def test_a_bilinear_stretch_of_any_side_is_that_of_torch(source, side):
    torch = pytest.importorskip("torch")
    lines = np.eye(source, dtype=bool)
    values = torch.from_numpy(lines[:, None, None].astype(np.float32))
    stretched = torch.nn.functional.interpolate(values, (1, side), mode="bilinear", align_corners=False) > 0
    low, high = bilinear_indices(source, side)
    np.testing.assert_array_equal(lines[:, low] | lines[:, high], stretched[:, 0, 0].numpy())
