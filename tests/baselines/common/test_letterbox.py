import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from baselines.common.letterbox import letterbox_image, letterbox_pixels, normalise, restore_logits
from earthreason.masks.grids import Grid


@given(st.integers(2, 300), st.integers(2, 300), st.sampled_from([128, 256]))
def test_the_inverse_brings_a_half_plane_back_to_within_a_pixel(height, width, side):
    grid = Grid("letterbox", side)
    if min(grid.resized_shape(height, width)) < 2:
        return
    truth = np.zeros((height, width), bool)
    truth[:, : width // 2] = True
    pixels = torch.from_numpy(truth.astype(np.uint8) * 255).expand(3, -1, -1)
    canvas = letterbox_pixels(pixels, side)[0].float() - 127.5
    found = (restore_logits(canvas, side, height, width) > 0).numpy()
    step = max(1, int(np.ceil(max(height, width) / side)))
    far = np.ones(width, bool)
    far[max(0, width // 2 - step - 1) : width // 2 + step + 1] = False
    assert np.array_equal(found[:, far], truth[:, far])


def test_sizes_are_those_of_the_reference():
    assert letterbox_image(Image.new("RGB", (103, 103), "white"), 1024)[0, :, -1].max() == 0
    wide = letterbox_image(Image.new("RGB", (800, 600), "white"), 1024)[0]
    assert wide[:128].max() == 0
    assert wide[128, 0] == 255
    assert wide[-128:].max() == 0


def test_a_line_of_pixels_has_a_place():
    assert letterbox_image(Image.new("RGB", (3000, 1), "white"), 128).max() == 255


def test_normalised_black_is_minus_mean_over_deviation():
    found = normalise(torch.zeros(1, 3, 1, 1, dtype=torch.uint8)).flatten().tolist()
    assert found == pytest.approx([-123.675 / 58.395, -116.28 / 57.12, -103.53 / 57.375])
