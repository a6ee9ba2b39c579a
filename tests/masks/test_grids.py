import cv2
import numpy as np
import pytest
from PIL import Image

from earthreason.errors import UnknownNameError
from earthreason.masks.grids import (
    Grid,
    bilinear_indices,
    centre_indices,
    grid_weights,
    nearest_indices,
    place_on_grid,
    stretch_bilinear,
)
from earthreason.masks.rle import decode_rle, encode_mask, resample_rle


@pytest.mark.parametrize("name", ["native", "letterbox-1024", "stretch-840"])
def test_names_round_trip(name):
    assert Grid.parse(name).name == name


@pytest.mark.parametrize("name", ["", "letterbox", "letterbox-0", "stretch--5", "letterbox-1024 ", "crop-3"])
def test_other_names_are_refused(name):
    with pytest.raises(
        UnknownNameError, match=r"unknown grid .*\(known: corner-1024, letterbox-1024, native, stretch-840\)"
    ):
        Grid.parse(name)


def test_sizes_are_truncated_as_the_reference_does():
    # 103 * (1024 / 103) is 1023.9999999999999 in double precision, and 49 * (512 / 98) is 255.99999999999997.
    assert Grid("letterbox", 1024).resized_shape(103, 103) == (1024, 1023)
    assert Grid("letterbox", 512).resized_shape(49, 98) == (255, 512)
    assert Grid("letterbox", 512).resized_shape(98, 49) == (512, 255)


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


@pytest.mark.parametrize(
    ("shape", "resized"),
    [
        ((5, 2048), (3, 1024)),  # a half goes up, to even numbers and to odd ones
        ((2048, 7), (1024, 4)),
        ((93, 2048), (46, 1024)),  # 2048 * (1024 / 93) is 22550.02, and 1024 * (1024 / 22550.02) is 46.49999999999999
        ((117, 6144), (19, 1024)),
    ],
)
def test_the_corner_rounds_the_sides_of_detectrons_resize_shortest_edge(shape, resized):
    assert Grid("corner", 1024).resized_shape(*shape) == resized
    assert Grid("corner", 1024).padding(*shape) == (0, 0)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4)])
def test_other_grids_have_no_padding(shape):
    assert Grid("stretch", 6).resized_shape(*shape) == Grid("stretch", 6).shape(*shape) == (6, 6)
    assert Grid("native").resized_shape(*shape) == Grid("native").shape(*shape) == shape
    assert Grid("stretch", 6).padding(*shape) == Grid("native").padding(*shape) == (0, 0)


def test_nearest_indices_follow_the_floor_rule():
    assert nearest_indices(2, 5).tolist() == [0, 0, 0, 1, 1]
    assert nearest_indices(5, 2).tolist() == [0, 2]


@pytest.mark.parametrize("target", [480, 512, 840, 1024])
def test_indices_are_those_of_opencv_and_pillow(target):
    for source in range(1, 400):
        row = np.arange(source, dtype=np.int32)[None]
        theirs = cv2.resize(row.astype(np.float64), (target, 1), interpolation=cv2.INTER_NEAREST)
        assert np.array_equal(nearest_indices(source, target), theirs[0])
        theirs = np.asarray(Image.fromarray(row).resize((target, 1), Image.Resampling.NEAREST))
        assert np.array_equal(centre_indices(source, target), theirs[0])


@pytest.mark.parametrize("source", [1, 2, 3, 1023, 1024, 1025, 8631])  # of 8631 rows, double precision takes others
def test_bilinear_stretching_is_torchs(source):
    torch = pytest.importorskip("torch")
    mask = (np.arange(source) % 2 == 0)[:, None]
    values = torch.from_numpy(mask[None, None].astype(np.float32))
    theirs = torch.nn.functional.interpolate(values, (1024, 1024), mode="bilinear", align_corners=False)[0, 0] > 0
    assert np.array_equal(stretch_bilinear(mask, 1024), theirs.numpy())


@pytest.mark.parametrize(
    ("grid", "shape", "columns"),
    [
        (Grid("stretch", 4), (4, 10), [1, 3, 6, 8]),  # Pillow: floor((i + 0.5) * 10 / 4)
        (Grid("letterbox", 4), (4, 10), [0, 2, 5, 7]),  # OpenCV: floor(i * 10 / 4)
        (Grid("corner", 4), (4, 10), [0, 2, 5, 7]),
        (Grid("native"), (4, 10), list(range(10))),
    ],
)
def test_stretching_takes_the_columns_of_pillow_and_the_others_those_of_opencv(grid, shape, columns):
    for column in range(shape[1]):
        mask = np.zeros(shape, bool)
        mask[:, column] = True
        placed = place_on_grid(mask, grid)
        assert placed.dtype == bool
        assert np.flatnonzero(placed.any(axis=0)).tolist() == [k for k, taken in enumerate(columns) if taken == column]


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
