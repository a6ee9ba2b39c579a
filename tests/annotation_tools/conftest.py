"""Tiny real pictures, GeoTIFFs and workspaces."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.drawing import draw
from annotation_tools.imports import import_images
from annotation_tools.workspace import Workspace


def write_picture(path, height=20, width=30, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_geotiff(path, crs="EPSG:32632", dtype="uint16", size=(40, 60), bands=3, metres=0.5):
    import rasterio
    from rasterio.transform import from_origin

    path.parent.mkdir(parents=True, exist_ok=True)
    degrees = crs is not None and crs == "EPSG:4326"
    transform = from_origin(9.0, 48.0, 1e-5, 1e-5) if degrees else from_origin(500_000, 5_300_000, metres, metres)
    pixels = np.random.default_rng(1).integers(200, 3000, (bands, *size)).astype(dtype)
    with rasterio.open(path, "w", driver="GTiff", height=size[0], width=size[1], count=bands, dtype=dtype, crs=crs,
                       transform=transform) as target:  # fmt: skip
        target.write(pixels)
    return path


def box(size, top, left, bottom, right):
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.fixture
def workspace(tmp_path):
    """Four pictures of 20 x 30 pixels: a, b, c, d."""
    for number, name in enumerate("abcd"):
        write_picture(tmp_path / "pictures" / f"{name}.png", seed=number)
    import_images(tmp_path / "work", str(tmp_path / "pictures"))
    return Workspace.open(tmp_path / "work")


def drawn(task, mask, who, category="pond", **facts):
    facts = {"created": "2026-01-01T10:00:00Z", "seconds": 20.0, "tool": "test", "key": f"{who}-{task}"} | facts
    return draw(task, mask, category, annotator=who, **facts)
