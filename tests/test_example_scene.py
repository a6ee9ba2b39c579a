"""The scene that the docs ask about is one that GDAL's own tool can place."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rasterio", reason="the extra geo is not installed")

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "make_scene.py"


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo is not installed: apt-get install gdal-bin")
@pytest.mark.parametrize(("gsd", "size"), [(8, [384, 256]), (2, [1536, 1024])])
def test_the_scene_lies_in_hamburg_with_the_pixels_that_were_asked_for(tmp_path, gsd, size):
    path = tmp_path / "valley.tif"
    subprocess.run([sys.executable, EXAMPLE, path, "--gsd", str(gsd)], check=True, stdout=subprocess.DEVNULL)
    said = json.loads(subprocess.run(["gdalinfo", "-json", path], capture_output=True, check=True).stdout)
    assert said["size"] == size
    assert said["geoTransform"] == [565_000, gsd, 0, 5_933_000, 0, -gsd]
    longitude, latitude = said["wgs84Extent"]["coordinates"][0][0]
    assert (round(longitude), round(latitude)) == (10, 54)
