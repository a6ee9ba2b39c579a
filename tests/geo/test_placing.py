import logging
import struct

import numpy as np
import pytest
from PIL import Image

from earthreason.errors import DataFormatError
from earthreason.geo.reading import open_scene

from .rasters import UTM, corners, gdal, gdalinfo, needs_gdal, noise, write


def grid(path):
    with open_scene(path) as scene:
        return scene.grid


@needs_gdal
@pytest.mark.parametrize(
    "transform",
    [
        (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_300_000.0),
        (0.5, 0.0, 500_000.0, 0.0, 0.5, 5_300_000.0),
        (0.4, 0.3, 500_000.0, 0.3, -0.4, 5_300_000.0),
        (-0.4, 0.3, 500_000.0, -0.3, -0.4, 5_300_000.0),
    ],
)
def test_straight_south_up_and_rotated_transforms_are_those_of_gdalinfo(tmp_path, transform):
    path = write(tmp_path / "a.tif", noise(), transform=transform)
    assert grid(path).transform == transform == corners(path)


@needs_gdal
def test_points_are_pixel_centres_so_corners_are_half_a_pixel_off(tmp_path):
    write(tmp_path / "area.tif", noise())
    gdal("gdal_translate", "-q", "-mo", "AREA_OR_POINT=Point", tmp_path / "area.tif", tmp_path / "point.tif")
    with Image.open(tmp_path / "point.tif") as image:  # what the file stores, read without GDAL
        scale, tie = image.tag_v2[33550], image.tag_v2[33922]
        keys = image.tag_v2[34735]
    assert keys[keys.index(1025) + 3] == 2  # GTRasterTypeGeoKey: RasterPixelIsPoint
    assert tie[3:5] == (500_000.25, 5_299_999.75)  # the centre of the first pixel
    a, b, c, d, e, f = grid(tmp_path / "point.tif").transform
    assert (c, f) == (tie[3] - scale[0] / 2, tie[4] + scale[1] / 2) == (500_000.0, 5_300_000.0)
    assert (a, b, c, d, e, f) == corners(tmp_path / "point.tif")


@needs_gdal
@pytest.mark.parametrize(
    ("name", "world"), [("a.png", "a.pgw"), ("a.jpg", "a.jgw"), ("b.png", "b.wld"), ("a.tif", "a.tfw")]
)
def test_world_files_state_centres_and_the_sidecar_the_crs(tmp_path, name, world):
    Image.fromarray(noise().transpose(1, 2, 0)).save(tmp_path / name)
    (tmp_path / world).write_text("0.5\n0\n0\n-0.5\n1000.25\n1999.75\n")
    placed = grid(tmp_path / name)
    assert placed.transform == (0.5, 0.0, 1000.0, 0.0, -0.5, 2000.0) == corners(tmp_path / name)
    assert placed.crs is None
    (tmp_path / f"{name}.aux.xml").write_text("<PAMDataset><SRS>EPSG:32632</SRS></PAMDataset>")
    assert "UTM zone 32N" in grid(tmp_path / name).crs


def test_a_transform_without_crs_is_kept_and_said(tmp_path, caplog):
    placed = grid(write(tmp_path / "a.tif", noise(), crs=None))
    assert placed.transform is not None
    assert placed.crs is None
    assert "in no CRS" in caplog.text


def test_a_crs_without_transform_places_nothing_and_is_said(tmp_path, caplog):
    placed = grid(write(tmp_path / "a.tif", noise(), transform=None))
    assert (placed.transform, placed.crs) == (None, None)
    assert "not where its pixels lie" in caplog.text


def with_points(folder, points):
    arguments = [part for column, row, x, y in points for part in ("-gcp", column, row, x, y)]
    write(folder / "plain.tif", noise(), transform=None, crs=None)
    gdal("gdal_translate", "-q", "-a_srs", UTM, *arguments, folder / "plain.tif", folder / "gcps.tif")
    assert "geoTransform" not in gdalinfo(folder / "gcps.tif")
    return folder / "gcps.tif"


def place(column, row):
    return 0.4 * column + 0.3 * row + 500_000, 0.3 * column - 0.4 * row + 5_300_000


@needs_gdal
def test_control_points_on_a_straight_grid_place_it(tmp_path):
    pixels = [(0, 0), (60, 0), (0, 40), (60, 40), (31, 17)]
    placed = grid(with_points(tmp_path, [(*pixel, *place(*pixel)) for pixel in pixels]))
    assert placed.transform == pytest.approx((0.4, 0.3, 500_000, 0.3, -0.4, 5_300_000), rel=1e-9)
    assert "UTM zone 32N" in placed.crs


@needs_gdal
def test_control_points_off_a_straight_grid_need_warping(tmp_path):
    pixels = [(0, 0), (60, 0), (0, 40), (60, 40)]
    points = [(*pixel, *place(*pixel)) for pixel in pixels]
    points[3] = (60, 40, points[3][2] + 2, points[3][3])
    with pytest.raises(
        DataFormatError, match=r"no straight grid fits its 4 .*\(off by up to 0.9\d* pixels\).*gdalwarp"
    ):
        grid(with_points(tmp_path, points))
    with pytest.raises(DataFormatError, match="no grid is placed by 2 ground control points"):
        grid(with_points(tmp_path, points[:2]))


@needs_gdal
def test_coefficients_of_a_sensor_place_nothing_and_are_said(tmp_path, caplog):
    path = write(tmp_path / "a.tif", noise(), transform=None, crs=None)
    numbers = " ".join(["1", *["0"] * 19])
    keys = {f"{side}_{part}_COEFF": numbers for side in ("LINE", "SAMP") for part in ("NUM", "DEN")}
    for side, value in (("LINE", 20), ("SAMP", 30), ("LAT", 48), ("LONG", 9), ("HEIGHT", 100)):
        keys |= {f"{side}_OFF": str(value), f"{side}_SCALE": "1"}
    items = "".join(f'<MDI key="{key}">{value}</MDI>' for key, value in keys.items())
    (tmp_path / "a.tif.aux.xml").write_text(f'<PAMDataset><Metadata domain="RPC">{items}</Metadata></PAMDataset>')
    assert grid(path).transform is None
    assert "placed by RPCs only" in caplog.text


def test_a_transform_without_area_is_refused(tmp_path):
    path = write(tmp_path / "a.tif", noise(), transform=(1.0, 2.0, 5.0, 3.0, 7.0, 9.0))
    content = path.read_bytes()
    stored = struct.pack("<4d", 1.0, 2.0, 0.0, 5.0)
    assert content.count(stored) == 1
    singular = struct.pack("<4d", 1.5, 3.5, 0.0, 5.0)  # 1.5 * 7 = 3.5 * 3
    path.write_bytes(content.replace(stored, singular))
    with pytest.raises(DataFormatError, match="is not that of a grid"):
        grid(path)


def test_good_files_say_nothing_at_warning_level(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    assert np.isfinite(grid(write(tmp_path / "a.tif", noise())).transform).all()
    assert caplog.text == ""
