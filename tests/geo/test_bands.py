import logging

import numpy as np
import pytest

from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.geo.bands import Stretch, linear, parse_bands
from earthreason.geo.reading import open_scene

from .rasters import bytes_of, gdal, needs_gdal, noise, write


def shown(path, **options):
    with open_scene(path, **options) as scene:
        return scene.read(scene.grid.whole, scene.grid.height, scene.grid.width).pixels


def facts(path, **options):
    with open_scene(path, **options) as scene:
        return scene.facts


@pytest.mark.parametrize(("text", "expected"), [("4,3,2", (4, 3, 2)), ("1", (1,)), (" 3 , 2,1 ", (3, 2, 1))])
def test_bands_are_one_or_three_numbers(text, expected):
    assert parse_bands(text) == expected


@pytest.mark.parametrize("text", ["", "1,2", "0", "1,2,0", "1;2;3", "-1", "1.5", "a", "1,2,3,4", "9999999", "１"])
def test_other_bands_are_refused(text):
    with pytest.raises(EarthReasonError, match="must be three band numbers, such as 4,3,2, or one for grey"):
        parse_bands(text)


@pytest.mark.parametrize(
    ("text", "expected", "again"),
    [
        ("2%,98%", Stretch("percentiles", 2, 98), "2%,98%"),
        ("0.5,99.5%", Stretch("percentiles", 0.5, 99.5), "0.5%,99.5%"),
        ("0,3000", Stretch("values", 0, 3000), "0,3000"),
        (" -25.5 , 1e3 ", Stretch("values", -25.5, 1000), "-25.5,1000"),
        ("None", Stretch("none"), "none"),
    ],
)
def test_a_stretch_is_percentiles_values_or_none(text, expected, again):
    assert Stretch.parse(text) == expected
    assert str(expected) == again
    assert Stretch.parse(again) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "must be two percentiles"),
        ("3", "must be two percentiles"),
        ("1,2,3", "must be two percentiles"),
        ("nan,1", "must be two percentiles"),
        ("a,b", "must be two percentiles"),
        ("2%,98", "write % after both"),
        ("5,5", "must be below"),
        ("9,5%", "must be below"),
        ("-1%,50%", "from 0 to 100"),
        ("1,101%", "from 0 to 100"),
    ],
)
def test_other_stretches_are_refused(text, fault):
    with pytest.raises(EarthReasonError, match=fault):
        Stretch.parse(text)


@needs_gdal
@pytest.mark.parametrize("dtype", ["int16", "int32", "uint16", "uint32", "float32", "float64"])
def test_fixed_limits_give_what_gdal_translate_scales(tmp_path, dtype):
    path = write(tmp_path / "a.tif", noise(3, 20, 30, dtype, 5000))
    scale = ["-scale", 100, 3700, 0, 255, "-ot", "Byte"]
    gdal("gdal_translate", "-q", *scale, path, tmp_path / "scaled.tif")
    expected = bytes_of(tmp_path / "scaled.tif", tmp_path).astype(int)
    # Halves may be rounded either way.
    assert np.abs(shown(path, stretch=Stretch.parse("100,3700")) - expected).max() <= 1
    assert (shown(path, stretch=Stretch.parse("100,3700")) != expected).mean() < 0.01


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint16", "uint32", "float32", "float64"])
def test_percentiles_are_those_worked_by_hand(tmp_path, dtype):
    values = np.arange(101.0).reshape(1, 1, 101).repeat(3, 1)  # percentiles 2 and 98: 2 and 98
    path = write(tmp_path / "a.tif", values.astype(dtype))
    expected = np.clip(np.round((values[0] - 2) / 96 * 255), 0, 255)
    assert np.array_equal(shown(path)[..., 0], expected)
    assert facts(path) == {"bands": "1", "stretch": "2%,98% of band 1 = 2,98"}
    wide = np.clip(np.round((values[0] - 10) / 80 * 255), 0, 255)
    assert np.array_equal(shown(path, stretch=Stretch.parse("10,90%"))[..., 0], wide)


def test_pixels_without_data_do_not_move_the_limits(tmp_path):
    values = np.arange(101.0).reshape(1, 1, 101).repeat(4, 1).astype(np.float32)
    values[0, 3] = -9999
    assert facts(write(tmp_path / "a.tif", values, nodata=-9999))["stretch"] == "2%,98% of band 1 = 2,98"
    values[0, 3] = np.nan
    values[0, 2] = np.inf
    assert facts(write(tmp_path / "b.tif", values))["stretch"] == "2%,98% of band 1 = 2,98"


@pytest.mark.parametrize("scale", [0.01, -0.01])
def test_limits_are_values_after_the_scale_and_offset_of_the_file(tmp_path, scale):
    import rasterio

    values = np.arange(101).reshape(1, 1, 101).astype(np.int16)
    path = write(tmp_path / "a.tif", values)
    with rasterio.open(path, "r+") as target:
        target.scales, target.offsets = (scale,), (5.0,)
    real = values[0] * scale + 5
    low, high = 4.2, 5.7
    expected = np.clip(np.round((real - low) / (high - low) * 255), 0, 255)
    assert np.abs(shown(path, stretch=Stretch("values", low, high))[..., 0] - expected).max() <= 1
    ends = "5.02,5.98" if scale > 0 else "4.02,4.98"
    assert facts(path)["stretch"] == f"2%,98% of band 1 = {ends}"


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16])
@pytest.mark.parametrize(("low", "high"), [(-3.5, 90.25), (90.25, -3.5)])
def test_many_small_numbers_are_shown_as_few_are(dtype, low, high):
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    every = np.arange(least, most + 1).astype(dtype).reshape(1, -1)
    valid = np.ones(every.shape, bool)
    valid[0, 100 - least] = False
    expected = np.clip(np.round((every - low) * (255 / (high - low))), 0, 255)
    expected[0, 100 - least] = 0
    for times in (1, 2):
        many = linear(every.repeat(times, 0), low, high, valid.repeat(times, 0))
        assert np.array_equal(many, expected.repeat(times, 0))


def test_8_bits_stay_unless_a_stretch_is_wished(tmp_path):
    values = np.arange(50, 151, dtype=np.uint8).reshape(1, 1, 101)
    path = write(tmp_path / "a.tif", values)
    assert np.array_equal(shown(path)[..., 0], values[0])
    assert np.array_equal(shown(path, stretch=Stretch("none"))[..., 0], values[0])
    assert shown(path, stretch=Stretch("values", 50, 150))[0, [0, 25, 75, 100], 0].tolist() == [0, 64, 191, 255]


def test_none_cuts_off_what_is_not_8_bits(tmp_path):
    path = write(tmp_path / "a.tif", np.array([[[-5, 0, 100, 255, 256, 9000]]], np.int16))
    assert shown(path, stretch=Stretch("none"))[0, :, 0].tolist() == [0, 0, 100, 255, 255, 255]


def test_bands_of_a_wish_are_shown_in_its_order(tmp_path):
    values = noise(5)
    path = write(tmp_path / "a.tif", values)
    assert np.array_equal(shown(path, bands=(5, 1, 3)), values[[4, 0, 2]].transpose(1, 2, 0))
    assert np.array_equal(shown(path, bands=(4,)), values[[3, 3, 3]].transpose(1, 2, 0))
    assert facts(path, bands=(4,))["bands"] == "4"


def test_thirty_bands_without_a_hint_are_the_first_three_and_that_is_said(tmp_path, caplog):
    path = write(tmp_path / "a.tif", noise(30))
    assert np.array_equal(shown(path), noise(30)[:3].transpose(1, 2, 0))
    assert "does not say which of its 30 bands are red, green and blue; the first three are used" in caplog.text
    caplog.clear()
    caplog.set_level(logging.WARNING)
    assert shown(path, bands=(30, 2, 1)).any()
    assert caplog.text == ""


def test_palettes_take_no_stretch_and_no_three_bands(tmp_path):
    import rasterio

    path = write(tmp_path / "p.tif", np.zeros((1, 4, 4), np.uint8), photometric="palette")
    with rasterio.open(path, "r+") as target:
        target.write_colormap(1, {0: (9, 8, 7, 255)})
    assert shown(path, bands=(1,))[0, 0].tolist() == [9, 8, 7]
    for options, fault in (({"bands": (1, 1, 1)}, "leave out --bands"), ({"stretch": Stretch("none")}, "--stretch")):
        with pytest.raises(DataFormatError, match=fault):
            shown(path, **options)


def test_a_scene_without_data_is_black_and_that_is_said(tmp_path, caplog):
    path = write(tmp_path / "a.tif", np.full((1, 4, 4), -1, np.int16), nodata=-1)
    assert shown(path).max() == 0
    assert "no pixel of band 1 has data" in caplog.text
