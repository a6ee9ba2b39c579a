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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="GeoTIFF to write")
    parser.add_argument("--gsd", type=int, choices=(2, 4, 8, 16), default=8, help="metres per pixel; 8 by default")
    options = parser.parse_args()
    import rasterio

    drawn = render_scene(np.random.default_rng(3), "lake", size=(HEIGHT, WIDTH), gsd=DRAWN_GSD)
    pixels = np.asarray(Image.fromarray(drawn.image).reduce(options.gsd // DRAWN_GSD))  # (height, width, 3) uint8
    height, width = pixels.shape[:2]
    place = rasterio.transform.from_origin(565_000, 5_933_000, options.gsd, options.gsd)  # upper left corner
    form = {"driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8"}
    with rasterio.open(
        options.out, "w", crs="EPSG:32632", transform=place, tiled=True, compress="deflate", photometric="rgb", **form
    ) as raster:
        raster.write(np.moveaxis(pixels, -1, 0))
    print(f"{options.out}: {width} x {height} pixels of {options.gsd} m, EPSG:32632")


if __name__ == "__main__":
    main()
