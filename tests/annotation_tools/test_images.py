import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation_tools.images import pixel_size, read_picture, stretch
from earthreason.errors import DataFormatError

from .conftest import write_geotiff

GOLDENS = Path(__file__).parent / "goldens/pictures"
GDAL_SHOWS = json.loads((GOLDENS / "shown.json").read_text())


def colours(picture):
    return np.asarray(Image.open(io.BytesIO(picture.content)).convert("RGB"))


def write_raster(path, bands, meanings=(), **options):
    """Write (n, height, width) as a GeoTIFF whose bands have these colour interpretations."""
    import rasterio
    from rasterio.enums import ColorInterp

    count, height, width = bands.shape
    facts = {"count": count, "height": height, "width": width, "dtype": bands.dtype.name} | options
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32632", **facts) as target:
        target.write(bands)
        if meanings:
            target.colorinterp = [ColorInterp[name] for name in meanings]
    return path


@pytest.mark.parametrize("name", GDAL_SHOWS["rgb"])
def test_a_picture_is_shown_as_gdal_shows_it(name):
    expected = np.frombuffer(bytes.fromhex(GDAL_SHOWS["rgb"][name]), np.uint8).reshape(16, 16, 3)
    shown = colours(read_picture(GOLDENS / name)).astype(int)
    # Two versions of a JPEG decoder may round chroma differently by a few steps.
    assert np.abs(shown - expected).max() <= (3 if name == "ycbcr.tif" else 0)


def test_the_content_decides_and_not_the_suffix(tmp_path):
    for there, here in (
        ("exact.jp2", "a.png"),
        ("palette.tif", "b.JPG"),
        ("exact.webp", "c.tif"),
        ("plain.bmp", "d.jp2"),
    ):
        shutil.copy(GOLDENS / there, tmp_path / here)
        assert np.array_equal(colours(read_picture(tmp_path / here)), colours(read_picture(GOLDENS / there)))


def test_bands_can_be_named_by_their_descriptions(tmp_path):
    import rasterio

    stack = np.arange(4, dtype=np.uint8).reshape(4, 1, 1).repeat(6, 1).repeat(6, 2) * 50
    path = write_raster(tmp_path / "s.tif", stack, ("undefined",) * 4)
    with rasterio.open(path, "r+") as target:
        target.descriptions = ("NIR", "Blue", "Green", "Red")
    assert colours(read_picture(path))[0, 0].tolist() == [150, 100, 50]


def test_numbers_without_colours_are_stretched_by_hand(tmp_path):
    values = np.arange(-100.0, 101.0)[np.newaxis, np.newaxis].repeat(4, 1)  # 2nd and 98th percentile: -96, 96
    expected = np.clip(np.round((values[0, 0] + 96) / 192 * 255), 0, 255)
    for dtype in ("int8", "int16", "float32", "float64"):
        shown = colours(read_picture(write_raster(tmp_path / f"{dtype}.tif", values.astype(dtype))))
        assert np.array_equal(shown[0, :, 0], expected), dtype
    holed = values.astype(np.float32)
    holed[0, 0, 50] = np.nan
    assert colours(read_picture(write_raster(tmp_path / "nan.tif", holed)))[:2, 50].tolist() == [[0] * 3, [61] * 3]


def test_a_negative_scale_turns_dark_into_bright(tmp_path):
    import rasterio

    path = write_raster(tmp_path / "n.tif", np.arange(100, dtype=np.int16).reshape(1, 10, 10))
    plain = colours(read_picture(path))
    with rasterio.open(path, "r+") as target:
        target.scales, target.offsets = (-0.5,), (7.0,)
    assert np.array_equal(colours(read_picture(path)), plain[::-1, ::-1])


def test_four_bits_run_from_black_to_white(tmp_path):
    path = write_raster(tmp_path / "n.tif", np.arange(16, dtype=np.uint8).reshape(1, 4, 4), nbits=4)
    assert colours(read_picture(path))[..., 0].ravel().tolist() == list(range(0, 256, 17))


def test_a_few_bright_pixels_in_the_dark_are_seen(tmp_path):
    night = np.zeros((1, 40, 40), np.uint16)
    night[0, 3, 4], night[0, 5, 6] = 900, 450
    shown = colours(read_picture(write_raster(tmp_path / "night.tif", night)))[..., 0]
    assert (shown[3, 4], shown[5, 6], shown.astype(int).sum()) == (255, 128, 383)


def test_dark_pictures_of_8_bits_stay_dark_and_a_single_value_is_black(tmp_path):
    assert colours(read_picture(write_raster(tmp_path / "d.tif", np.full((3, 4, 4), 3, np.uint8)))).max() == 3
    assert colours(read_picture(write_raster(tmp_path / "c.tif", np.full((1, 4, 4), 3000, np.uint16)))).max() == 0


def test_a_band_of_transparency_that_is_chosen_is_a_colour(tmp_path):
    bands = np.stack([np.full((4, 4), value, np.uint8) for value in (10, 20, 30, 0)])
    path = write_raster(tmp_path / "a.tif", bands, ("red", "green", "blue", "alpha"))
    with pytest.raises(DataFormatError, match="leaves out every pixel"):
        read_picture(path)
    assert colours(read_picture(path, (3, 2, 4)))[0, 0].tolist() == [30, 20, 0]


def test_pixels_of_full_transparency_are_black_in_every_format(tmp_path):
    pixels = np.full((4, 6, 4), 200, np.uint8)
    pixels[:, :2, 3], pixels[:, 2:4, 3] = 0, 100
    for name in ("a.png", "a.webp"):
        Image.fromarray(pixels).save(tmp_path / name, lossless=True, exact=True)
        assert colours(read_picture(tmp_path / name))[0, ::2].tolist() == [[0] * 3, [200] * 3, [200] * 3]


@pytest.mark.parametrize(
    ("name", "bands", "meanings", "fault"),
    [
        ("complex", np.ones((1, 4, 4), np.complex64), (), "complex numbers have no colours"),
        ("two", np.ones((2, 4, 4), np.uint8), ("undefined",) * 2, "two bands"),
        ("transparent", np.ones((1, 4, 4), np.uint8), ("alpha",), "nothing but transparency"),
    ],
)
def test_what_has_no_colours_is_refused_in_one_line(tmp_path, name, bands, meanings, fault):
    path = write_raster(tmp_path / f"{name}.tif", bands, meanings)
    with pytest.raises(DataFormatError, match=rf"{name}\.tif: .*{fault}") as caught:
        read_picture(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["pages.tif", "moving.png", "moving.webp"])
def test_several_pictures_in_a_file_are_refused(tmp_path, name):
    first, second = (Image.new("RGB", (6, 4), colour) for colour in ("red", "blue"))
    first.save(tmp_path / name, save_all=True, append_images=[second])
    with pytest.raises(DataFormatError, match="2 p(ages|ictures); save the one to draw on"):
        read_picture(tmp_path / name)


def test_overviews_are_not_pages(tmp_path):
    import rasterio

    path = write_raster(tmp_path / "o.tif", np.arange(64 * 64, dtype=np.uint16).reshape(1, 64, 64))
    before = read_picture(path).content
    with rasterio.open(path, "r+") as target:
        target.build_overviews([2, 4])
    assert read_picture(path).content == before


def test_a_profile_and_an_orientation_leave_the_pixels_as_stored(tmp_path):
    from PIL import ImageCms

    pixels = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[274] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels.save(tmp_path / "turned.png", exif=exif, icc_profile=profile)
    picture = read_picture(tmp_path / "turned.png")
    assert (picture.height, picture.width) == (20, 30)
    assert np.array_equal(colours(picture), np.asarray(pixels))
    assert Image.open(io.BytesIO(picture.content)).info["icc_profile"] == profile


def test_bands_hold_for_every_kind_of_picture(tmp_path):
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    Image.fromarray(pixels).save(tmp_path / "c.png")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "g.png")
    assert np.array_equal(colours(read_picture(tmp_path / "c.png", (3, 2, 1))), pixels[..., ::-1])
    assert read_picture(tmp_path / "c.png", (1, 2, 3)).content == (tmp_path / "c.png").read_bytes()
    with pytest.raises(DataFormatError, match=r"g\.png: --bands 1,2,3 cannot be read from 1 band"):
        read_picture(tmp_path / "g.png", (1, 2, 3))


@pytest.mark.parametrize(("content", "fault"), [(b"GIF89a" + bytes(40), "a GIF; save"), (b"", "the file is empty")])
def test_other_files_are_refused(tmp_path, content, fault):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(DataFormatError, match=fault):
        read_picture(tmp_path / "x.png")


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
    with pytest.raises(DataFormatError, match=r"v\.tif: not a JPEG, PNG, TIFF"):
        read_picture(tmp_path / "v.tif")


def test_a_band_that_is_not_there_is_named(tmp_path):
    path = write_geotiff(tmp_path / "b.tif", bands=2)
    with pytest.raises(DataFormatError, match="cannot be read from 2 bands"):
        read_picture(path, (1, 2, 3))
