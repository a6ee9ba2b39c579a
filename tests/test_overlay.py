import numpy as np
import pytest
from PIL import Image
from skimage.morphology import dilation, footprint_rectangle

from earthreason.overlay import TRUTH_COLOUR, draw_overlay, outline_mask


def test_only_the_mask_and_its_outline_change():
    image = Image.new("RGB", (40, 30), (10, 10, 10))
    mask = np.zeros((30, 40), bool)
    mask[10:20, 10:20] = True
    drawn = np.asarray(draw_overlay(image, mask, TRUTH_COLOUR))
    assert (drawn[15, 15] != 10).any()
    assert (drawn[2, 2] == 10).all()
    assert tuple(drawn[9, 15]) == TRUTH_COLOUR


def test_no_mask_leaves_the_image_and_large_ones_shrink():
    image = Image.new("RGB", (1000, 500), (10, 20, 30))
    assert draw_overlay(image, None, TRUTH_COLOUR, side=100).size == (100, 50)
    assert np.array_equal(outline_mask(image, np.zeros((500, 1000), bool), TRUTH_COLOUR), np.asarray(image))


@pytest.mark.parametrize("seed", range(20))
def test_the_outline_and_the_tint_are_those_of_the_definition(seed):
    draw = np.random.default_rng(seed)
    shape = tuple(draw.integers(1, 60, 2))
    pixels = draw.integers(0, 256, (*shape, 3), dtype=np.uint8)
    mask = draw.random(shape) < draw.random() ** 2
    mask[0, 0] = True
    expected = pixels.astype(np.float32)
    expected[mask] = expected[mask] * (1 - 0.45) + np.array(TRUTH_COLOUR, np.float32) * 0.45
    expected = expected.astype(np.uint8)
    expected[dilation(mask, footprint_rectangle((3, 3))) & ~mask] = TRUTH_COLOUR
    assert np.array_equal(np.asarray(draw_overlay(Image.fromarray(pixels), mask, TRUTH_COLOUR)), expected)
