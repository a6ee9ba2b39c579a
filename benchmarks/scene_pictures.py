"""Draw the pictures of answers about a scene for the docs: polygons over the scene, and the tiles of a scene and a cut.

python -m benchmarks.scene_pictures docs/images
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from examples.make_scene import write_valley

QUESTIONS = ("Where could one row across still water?", "Where would fishermen cast their lines from the bank?")
_ORANGE, _BLUE = "#ff5a1f", "#2f7bff"
_TILE = 256
_CUT = (300, 140, 900, 700)
"""Left, top, width and height of the cut, in pixels of 2 m."""
_SAVE = {"dpi": 110, "pil_kwargs": {"quality": 85, "optimize": True}}


def show_scene(axes: Any, path: Path) -> None:
    """Show a scene in kilometres from its lower left corner."""
    import rasterio

    with rasterio.open(path) as raster:
        pixels = np.moveaxis(raster.read(), 0, -1)
        width, height = raster.width * raster.res[0] / 1000, raster.height * raster.res[1] / 1000
    axes.imshow(pixels, extent=(0, width, 0, height), interpolation="none")
    axes.set_xlabel("km")
    axes.spines[:].set_visible(False)


def draw_answers(path: Path, out: Path, checkpoint: str) -> None:
    """Draw the polygons of each question over the scene, with its area."""
    import rasterio
    from matplotlib import pyplot
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    from baselines.segearth_r1.predictor import SegEarthR1Predictor
    from earthreason.geo import GeoPredictor

    layer = GeoPredictor(SegEarthR1Predictor.from_pretrained(checkpoint), checkpoint).segment(path, QUESTIONS)
    with rasterio.open(path) as raster:
        corner = np.array([raster.bounds.left, raster.bounds.bottom])
    figure, panels = pyplot.subplots(1, len(QUESTIONS), figsize=(11, 4.3), sharey=True, layout="constrained")
    for axes, summary in zip(panels, layer.summaries, strict=True):
        show_scene(axes, path)
        for region in layer:
            if region.question == summary.question:
                rings = [region.geometry.exterior, *region.geometry.interiors]
                outline = Outline.make_compound_path(
                    *(Outline((np.asarray(ring.coords) - corner) / 1000, closed=True) for ring in rings)
                )
                axes.add_patch(PathPatch(outline, facecolor=_ORANGE + "70", edgecolor=_ORANGE, linewidth=1.2))
        area = (summary.area_m2 or 0) / 10_000
        axes.set_title(f"{summary.question}\n{summary.regions} regions, {area:,.1f} ha", fontsize=10)
    figure.savefig(out, **_SAVE)
    pyplot.close(figure)


def draw_tiles(path: Path, out: Path) -> None:
    """Draw the tiles of a scene, and those of a cut from it, which lie at the same places on the ground."""
    import rasterio
    from matplotlib import pyplot
    from matplotlib.patches import Rectangle

    from earthreason.geo.grid import GeoGrid, Window
    from earthreason.geo.tiling import lay_tiles

    with rasterio.open(path) as raster:
        grid = GeoGrid(raster.height, raster.width, tuple(raster.transform)[:6], raster.crs.to_wkt())
        metres = raster.res[0]
    parts = [grid.whole, Window(*_CUT)]
    places = [
        {(part.left + tile.left, part.top + tile.top) for row in range(len(tiling.tops)) for tile in tiling.row(row)}
        for part in parts
        for tiling in [lay_tiles(grid.cut(part), _TILE)]
    ]
    figure, panels = pyplot.subplots(1, 2, figsize=(11, 4.1), sharey=True, layout="constrained")
    side = _TILE * metres / 1000
    for axes, own, title in zip(panels, places, ("The scene", "A file cut from it"), strict=True):
        show_scene(axes, path)
        for left, top in sorted(own, key=lambda place: place in places[0] & places[1]):
            corner = left * metres / 1000, (grid.height - top - _TILE) * metres / 1000
            colour = _ORANGE if (left, top) in places[0] & places[1] else _BLUE
            axes.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=colour, linewidth=1.4))
        axes.set_title(f"{title}: {len(own)} tiles, {len(places[0] & places[1])} in both", fontsize=10)
    figure.savefig(out, **_SAVE)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the pictures")
    parser.add_argument("--checkpoint", default="tiny")
    a = parser.parse_args()
    import matplotlib

    matplotlib.use("Agg")
    with tempfile.TemporaryDirectory() as folder:
        valley, fine = Path(folder) / "valley.tif", Path(folder) / "fine.tif"
        write_valley(valley, 8)
        write_valley(fine, 2)
        draw_answers(valley, a.out / "scene_answers.jpg", a.checkpoint)
        draw_tiles(fine, a.out / "scene_tiles.jpg")


if __name__ == "__main__":
    main()
