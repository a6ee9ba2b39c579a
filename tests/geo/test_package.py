"""`earthreason.geo` offers its functions without importing what they need."""

import subprocess
import sys

import earthreason.geo

CHECK = """
import sys
from earthreason.geo import GeoPredictor
print(sorted({"rasterio", "shapely", "pyogrio", "pyproj", "torch"} & set(sys.modules)))
"""


def test_importing_the_predictor_loads_no_library_of_the_extra():
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_name_that_is_offered_exists():
    for name in earthreason.geo.__all__:
        assert getattr(earthreason.geo, name).__name__ == name
        assert name in dir(earthreason.geo)
