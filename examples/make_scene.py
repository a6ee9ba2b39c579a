"""Draw a valley with a river, two lakes, woods and a quarry, and write it as a GeoTIFF with a place on the map.

    python examples/make_scene.py valley.tif
    python examples/make_scene.py fine.tif --gsd 2

It needs the extra `geo`. The valley is 3,072 by 2,048 m and always the same; its place, in Hamburg, is made up.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from earthreason.synthetic.render import render_scene

WIDTH, HEIGHT, DRAWN_GSD = 1536, 1024, 2


def write_valley(path: str | Path, gsd: int = 8) -> tuple[int, int]:
    """Write the valley with pixels of 2, 4, 8 or 16 m; return its width and height in pixels."""
    import rasterio

    drawn = render_scene(np.random.default_rng(3), "lake", size=(HEIGHT, WIDTH), gsd=DRAWN_GSD)
    pixels = np.asarray(Image.fromarray(drawn.image).reduce(gsd // DRAWN_GSD))  # (height, width, 3) uint8
    height, width = pixels.shape[:2]
    corner = rasterio.transform.from_origin(565_000, 5_933_000, gsd, gsd)  # the upper left one
    form = {"driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8", "tiled": True}
    with rasterio.open(path, "w", crs="EPSG:32632", transform=corner, photometric="rgb", **form) as raster:
        raster.write(np.moveaxis(pixels, -1, 0))
    return width, height


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="GeoTIFF to write")
    parser.add_argument("--gsd", type=int, choices=(2, 4, 8, 16), default=8, help="metres per pixel; 8 by default")
    options = parser.parse_args()
    width, height = write_valley(options.out, options.gsd)
    print(f"{options.out}: {width} x {height} pixels of {options.gsd} m, EPSG:32632")


if __name__ == "__main__":
    main()
