"""The scene of the pictures of the page is one that GDAL's own tool can place."""

import json
import shutil
import subprocess

import pytest

pytest.importorskip("rasterio", reason="the extra geo is not installed")

from benchmarks.serve_pictures import write_scene


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo is not installed: apt-get install gdal-bin")
def test_the_scene_lies_in_hamburg_at_half_a_metre(tmp_path):
    question = write_scene(tmp_path / "town.tif")
    said = json.loads(
        subprocess.run(["gdalinfo", "-json", tmp_path / "town.tif"], capture_output=True, check=True).stdout
    )
    assert question
    assert said["size"] == [1024, 768]
    assert said["geoTransform"] == [565_000, 0.5, 0, 5_933_000, 0, -0.5]
    longitude, latitude = said["wgs84Extent"]["coordinates"][0][0]
    assert (round(longitude), round(latitude)) == (10, 54)
