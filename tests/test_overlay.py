import numpy as np
from PIL import Image

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
