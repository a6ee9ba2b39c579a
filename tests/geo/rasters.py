"""Small rasters in every form, and what GDAL's own programs say of them."""

import json
import shutil
import subprocess

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="the geo extra is not installed")

needs_gdal = pytest.mark.skipif(shutil.which("gdal_translate") is None, reason="GDAL's programs are not installed")
UTM = "EPSG:32632"
PLACE = (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_300_000.0)


def write(path, bands, *, transform=PLACE, crs=UTM, meanings=(), **options):
    """Write (n, height, width) as a GeoTIFF whose bands have these colour interpretations."""
    import rasterio
    from rasterio.enums import ColorInterp

    count, height, width = bands.shape
    facts = {"count": count, "height": height, "width": width, "dtype": bands.dtype.name} | options
    if transform is not None:
        facts["transform"] = rasterio.Affine(*transform)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **{"driver": "GTiff", "crs": crs} | facts) as target:
        target.write(bands)
        if meanings:
            target.colorinterp = [ColorInterp[name] for name in meanings]
    return path


def noise(count=3, height=40, width=60, dtype=np.uint8, top=255, seed=0):
    return np.random.default_rng(seed).integers(0, top, (count, height, width)).astype(dtype)


def gdal(*arguments):
    """Run one of GDAL's programs; return what it prints."""
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def gdalinfo(path):
    return json.loads(gdal("gdalinfo", "-json", path))


def corners(path):
    """Transform by gdalinfo, in the order of `GeoGrid`: its own order is c, a, b, f, d, e."""
    c, a, b, f, d, e = gdalinfo(path)["geoTransform"]
    return a, b, c, d, e, f


def bytes_of(path, folder):
    """Pixels (height, width, bands) as gdal_translate writes them, read by another program."""
    gdal("gdal_translate", "-q", "-of", "ENVI", "-co", "INTERLEAVE=BIP", path, folder / "raw.img")
    info = gdalinfo(path)
    width, height = info["size"]
    return np.fromfile(folder / "raw.img", np.uint8).reshape(height, width, len(info["bands"]))
