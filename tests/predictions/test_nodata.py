"""Nodata values of GeoTIFFs in a folder of masks."""

import logging

import numpy as np
import pytest
from PIL import Image

from earthreason.errors import PredictionsError
from earthreason.masks.rle import encode_mask
from earthreason.predictions import read_predictions
from earthreason.types import Prediction

PIXELS = np.array([[0, 1, 255], [1, 255, 0]], np.uint8)


def save(folder, nodata):
    folder.mkdir()
    Image.fromarray(PIXELS).save(folder / "a.tif", tiffinfo={42113: nodata})  # GDAL_NODATA
    return folder


def test_pixels_of_the_nodata_value_are_no_target_and_the_log_says_so(tmp_path, caplog):
    folder = save(tmp_path / "masks", "255")
    with caplog.at_level(logging.WARNING):
        found = read_predictions(folder).predictions
    assert found == [Prediction("a", encode_mask(PIXELS == 1))]
    words = "1 mask with pixels of a nodata value, which are not target; the first is a.tif (255)"
    assert f"{folder}: {words}" in caplog.messages


def test_a_nodata_value_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(
        PredictionsError, match=r"a\.tif: .*the nodata value .*\(tag 42113\) is not a number; remove the tag"
    ):
        read_predictions(save(tmp_path / "masks", "none"))
