import os

import pytest

from earthreason.errors import DataNotFoundError, EarthReasonError, UnknownNameError
from earthreason.geo.grid import GeoGrid
from earthreason.geo.outputs import check_output
from earthreason.geo.writing_rasters import RASTER_SUFFIXES
from earthreason.geo.writing_vectors import VECTOR_SUFFIXES
from tests.geo.layer_cases import RINGS, UTM, grid_of

PLACED = grid_of(RINGS)


@pytest.mark.parametrize("suffix", [*VECTOR_SUFFIXES, *RASTER_SUFFIXES, ".GPKG"])
def test_every_format_of_a_placed_scene_passes(tmp_path, suffix):
    check_output(tmp_path / f"a{suffix}", PLACED)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "nearest"), [("a.gpk", ".gpkg"), ("a.geojsn", ".geojson"), ("a.tif2", ".tif")])
def test_an_unknown_suffix_names_the_nearest(tmp_path, name, nearest):
    with pytest.raises(UnknownNameError, match=f"did you mean '{nearest}"):
        check_output(tmp_path / name, PLACED)


@pytest.mark.parametrize("name", ["a", "a.zip", ".gpkg.x"])
def test_no_suffix_or_another_lists_the_known(tmp_path, name):
    with pytest.raises(UnknownNameError, match=r"known: .*\.gpkg.*\.tif"):
        check_output(tmp_path / name, PLACED)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataNotFoundError, match="gone: no such folder.*create it"):
        check_output(tmp_path / "gone" / "a.gpkg", PLACED)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EarthReasonError, match="file is a file"):
        check_output(tmp_path / "file" / "a.gpkg", PLACED)


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "a.gpkg").mkdir()
    with pytest.raises(EarthReasonError, match=r"a\.gpkg is a folder"):
        check_output(tmp_path / "a.gpkg", PLACED)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(EarthReasonError, match="you may not write there"):
        check_output(tmp_path / "a.gpkg", PLACED)


@pytest.mark.parametrize("suffix", [".geojson", ".json", ".kml"])
@pytest.mark.parametrize("grid", [grid_of(RINGS, crs=None), grid_of(RINGS, transform=None), GeoGrid(9, 9)])
def test_longitudes_need_a_crs_and_a_transform(tmp_path, suffix, grid):
    with pytest.raises(EarthReasonError, match=r"write a \.gpkg"):
        check_output(tmp_path / f"a{suffix}", grid)
    check_output(tmp_path / "a.gpkg", grid)


def test_a_png_has_limits_that_a_geotiff_has_not(tmp_path):
    huge = GeoGrid(20_000, 20_000, PLACED.transform, UTM)
    with pytest.raises(EarthReasonError, match=r"400 megapixels are too many for a PNG; write a \.tif"):
        check_output(tmp_path / "a.png", huge)
    with pytest.raises(EarthReasonError, match="one question, not of 2"):
        check_output(tmp_path / "a.png", PLACED, questions=2)
    check_output(tmp_path / "a.tif", huge, questions=2)
