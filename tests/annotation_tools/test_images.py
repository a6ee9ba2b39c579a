import io

import numpy as np
import pytest
from PIL import Image

from annotation_tools.images import pixel_size, read_picture, stretch
from earthreason.errors import DataFormatError

from .conftest import write_geotiff


def test_the_gsd_of_an_image_in_degrees_is_in_metres(tmp_path):
    picture = read_picture(write_geotiff(tmp_path / "d.tif", crs="EPSG:4326"))
    metres_per_degree = 111_132.0
    expected = 1e-5 * metres_per_degree * np.sqrt(np.cos(np.radians(48.0)))
    assert picture.ground_resolution == pytest.approx(expected, rel=0.01)


def test_feet_become_metres(tmp_path):
    new_york = (984_000, 213_000)
    picture = read_picture(write_geotiff(tmp_path / "f.tif", crs="EPSG:2263", metres=2.0, origin=new_york))
    assert picture.ground_resolution == pytest.approx(2 * 0.3048006, rel=1e-4)


@pytest.mark.parametrize("latitude", [0, 30, 60, -75])
def test_what_a_projection_stretches_is_not_on_the_ground(tmp_path, latitude):
    from pyproj import Transformer

    place = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(10, latitude)
    picture = read_picture(write_geotiff(tmp_path / "m.tif", crs="EPSG:3857", metres=1.0, origin=place))
    sine, squared = np.sin(np.radians(latitude)), 0.00669437999014  # eccentricity of WGS 84
    true = np.cos(np.radians(latitude)) * np.sqrt(1 - squared) / (1 - squared * sine**2)
    assert picture.ground_resolution == pytest.approx(true, rel=1e-4)


def test_a_sheared_pixel_has_its_area_and_one_off_the_globe_none():
    straight = pixel_size([1.0, 0.0, 500_000, 0.0, -1.0, 5_300_000], "EPSG:32632", 20, 30)
    assert pixel_size([1.0, 1.0, 500_000, 0.0, -1.0, 5_300_000], "EPSG:32632", 20, 30) == pytest.approx(straight)
    assert pixel_size([1.0, 0.0, 1e12, 0.0, -1.0, 1e12], "EPSG:32632", 20, 30) is None


def test_a_stretch_runs_between_the_percentiles_and_leaves_no_data_black():
    band = np.arange(1000, dtype=float).reshape(1, 20, 50)
    valid = np.ones((20, 50), bool)
    valid[0] = False
    out = stretch(band, valid)[0]
    assert out[0].max() == 0
    assert (np.diff(out[1:].ravel().astype(int)) >= 0).all()
    low, high = np.percentile(band[0][valid], (2, 98))
    assert (out[valid & (band[0] <= low)] == 0).all()
    assert (out[band[0] >= high] == 255).all()


def test_a_deep_png_is_stretched(tmp_path):
    deep = (np.arange(600, dtype=np.uint16) * 100).reshape(20, 30)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    picture = read_picture(tmp_path / "deep.png")
    assert (picture.height, picture.width) == (20, 30)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_deep_png_of_colours_is_stretched_band_by_band(tmp_path, channels):
    import cv2

    deep = np.random.default_rng(0).integers(100, 2000, (20, 30, channels)).astype(np.uint16)
    deep[..., 2] *= 9  # red: OpenCV has blue first
    if channels == 4:
        deep[..., 3] = 65535
    assert cv2.imwrite(str(tmp_path / "deep.png"), deep)
    picture = read_picture(tmp_path / "deep.png")
    shown = np.asarray(Image.open(io.BytesIO(picture.content)))
    assert (picture.height, picture.width, shown.shape) == (20, 30, (20, 30, 3))
    expected = stretch(deep[..., 2::-1].transpose(2, 0, 1).astype(float)).transpose(1, 2, 0)
    assert np.array_equal(shown, expected)
    assert (shown.min(), shown.max()) == (0, 255)


def test_a_file_that_would_send_the_reader_elsewhere_is_refused(tmp_path):
    source = write_geotiff(tmp_path / "secret.tif")
    band = f"<SimpleSource><SourceFilename>{source}</SourceFilename></SimpleSource>"
    (tmp_path / "v.tif").write_text(
        f'<VRTDataset rasterXSize="60" rasterYSize="40"><VRTRasterBand band="1">{band}</VRTRasterBand></VRTDataset>'
    )
    with pytest.raises(DataFormatError, match=r"v\.tif: not a readable TIFF or PNG"):
        read_picture(tmp_path / "v.tif")


def test_a_band_that_is_not_there_is_named(tmp_path):
    path = write_geotiff(tmp_path / "b.tif", bands=2)
    with pytest.raises(DataFormatError, match="cannot be read from 2 bands"):
        read_picture(path, (1, 2, 3))
