"""Time `earthreason-baselines segment` on GeoTIFFs of 1, 100 and 2,000 megapixels, with its peak memory.

    python benchmarks/scenes.py --folder /tmp/scenes
    python benchmarks/scenes.py --folder /tmp/scenes --megapixels 2000 --model colour    # without a network

The scenes are tiled and compressed, in UTM, 1 m per pixel, and repeat drawn scenes in all eight orientations. They stay
in the folder for the next run. `colour` marks by colour alone, so what it takes is the reading, the blending and the
writing. The peers, measured in the same run, are rasterio's plain reading of all pixels in windows, and
gdal_polygonize on the mask that was written. `--limit` stops a scene that takes too long.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path[0:0] = [str(ROOT)]

from earthreason.files import atomic_path  # noqa: E402
from earthreason.geo.model import TileScores  # noqa: E402

BLOCK = 512
"""Side of the GeoTIFF's blocks, and of the drawn scenes, in pixels."""
QUESTION = "Where could a boat tie up?"
CATEGORIES = ("lake", "river", "pier", "storage tank", "tennis court", "intersection")


class Colour:
    """A model that marks what is more blue than red, to time everything else."""

    name, tile_side, ground_resolution, no_target_threshold = "colour", 1024, None, 0.5

    def score_tiles(self, tiles: Sequence[np.ndarray], questions: Sequence[str]) -> Iterator[TileScores]:
        """Yield the difference of the two channels as logits, smoothed so that regions have the size of objects."""
        for tile in tiles:
            height, width = tile.shape[:2]
            difference = Image.fromarray(tile[..., 2].astype(np.float32) - tile[..., 0])
            logits = np.asarray(difference.reduce(16).resize((width, height), Image.Resampling.BILINEAR))
            yield TileScores(np.stack([logits] * len(questions)), np.zeros(len(questions), np.float32))

    def predict(self, images: Sequence[Any], questions: Sequence[str]) -> list[np.ndarray | None]:
        """Return the masks of pictures."""
        return [next(self.score_tiles([np.asarray(image)], [""])).logits[0] > 0 for image in images]


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds, seconds of one core, and the largest resident memory in bytes."""

    seconds: float
    core_seconds: float
    memory: int
    output: str

    def __str__(self) -> str:
        """Write the cost for people."""
        return f"{self.seconds:,.1f} s ({self.core_seconds:,.1f} of one core), peak {self.memory / 1e6:,.0f} MB"


def side_of(megapixels: float) -> int:
    """Return the side of a square scene, in pixels, to the next whole block from one megapixel on."""
    return max(BLOCK, math.ceil(math.sqrt(megapixels * 1e6) / BLOCK) * BLOCK)


def draw_blocks(categories: Sequence[str] = CATEGORIES) -> list[np.ndarray]:
    """Draw scenes (3, BLOCK, BLOCK) uint8 of 1 m per pixel, each in all eight orientations."""
    from earthreason.synthetic.render import render_scene

    drawn = []
    for number, category in enumerate(categories):
        scene = render_scene(np.random.default_rng(number), category, size=(BLOCK, BLOCK), gsd=1.0)
        for turn in range(4):
            turned = np.rot90(scene.image, turn)
            drawn += [np.moveaxis(turned, 2, 0), np.moveaxis(turned[::-1], 2, 0)]
    return [np.ascontiguousarray(block) for block in drawn]


def write_scene(path: Path, side: int, blocks: Sequence[np.ndarray]) -> None:
    """Write a square GeoTIFF of `side` pixels whose blocks repeat the given ones in a random order."""
    import rasterio
    from rasterio.windows import Window

    form = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate", "zlevel": 1}
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(1, 0, 500_000, 0, -1, 5_400_000)}
    size = {"width": side, "height": side, "count": 3, "dtype": "uint8"}
    chance = np.random.default_rng(0)
    with (
        atomic_path(path) as temporary,
        rasterio.open(
            temporary, "w", driver="GTiff", photometric="rgb", interleave="pixel", bigtiff="if_safer", num_threads=2,
            **form, **place, **size,
        ) as raster,
    ):  # fmt: skip
        for top in range(0, side, BLOCK):
            row = np.concatenate(
                [blocks[number] for number in chance.integers(len(blocks), size=side // BLOCK)], axis=2
            )
            raster.write(row, window=Window(0, top, side, BLOCK))


def measure(command: Sequence[str | Path], log: Path, limit: float) -> Cost | None:
    """Run a command; return what it took, or None if it was stopped after `limit` seconds.

    Raises:
        RuntimeError: the command failed.
    """
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with log.open("w") as errors, tempfile.TemporaryFile() as output:
        process = subprocess.Popen([str(word) for word in command], stdout=output, stderr=errors, env=environment)
        memory = 0
        while process.poll() is None:
            memory = peak_of(process.pid) or memory
            if time.perf_counter() - began > limit:
                process.kill()
                process.wait()
                return None
            time.sleep(0.02)
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        output.seek(0)
        text = output.read().decode()
    if process.returncode:
        raise RuntimeError(f"{command[0]} failed: {log.read_text()[-2000:]}")
    return Cost(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, memory, text)


def peak_of(process: int) -> int:
    """Return the largest resident memory of a process so far, in bytes; 0 when it has ended.

    `getrusage` would not do: what a process begins with counts what the one that started it held.
    """
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def read_all(path: Path, side: int = 1024) -> int:
    """Read all pixels of a raster in windows, as the simplest program would; return their sum."""
    import rasterio
    from rasterio.windows import Window

    total = 0
    with rasterio.open(path) as raster:
        for top in range(0, raster.height, side):
            for left in range(0, raster.width, side):
                size = min(side, raster.width - left), min(side, raster.height - top)
                total += int(raster.read(window=Window(left, top, *size)).sum())
    return total


def time_scene(scene: Path, folder: Path, model: str, questions: int, limit: float) -> list[str]:
    """Time `segment` and its peers on a scene; return the lines to print."""
    pixels = scene.stat().st_size, side_in(scene) ** 2
    chosen = ["--model", "benchmarks.scenes:Colour"] if model == "colour" else ["--checkpoint", model]
    asked = [QUESTION, *(f"{QUESTION} ({number})" for number in range(2, questions + 1))]
    layer, mask = folder / "answer.gpkg", folder / "mask.tif"
    for path in (layer, mask):
        path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "baselines", "segment", scene, *asked, *chosen, "--out", layer, "--json", "-"]
    own = measure([*command, "--mask", mask], folder / "segment.log", limit)
    reading = measure([sys.executable, __file__, "--read", scene], folder / "read.log", limit)
    if own is None or reading is None:
        return [f"{pixels[1] / 1e6:,.0f} MP: stopped after {limit:g} s"]
    report = json.loads(own.output)
    regions = sum(answer["regions"] or 0 for answer in report["answers"])
    sizes = [f"{path.name} {path.stat().st_size / 1e6:,.2f} MB" for path in (layer, mask) if path.exists()]
    lines = [
        f"{pixels[1] / 1e6:,.0f} MP ({pixels[0] / 1e6:,.0f} MB): {own}; {pixels[1] / 1e6 / own.seconds:,.2f} MP/s; "
        f"{regions:,} regions, {' and '.join(sizes)}",
        f"    rasterio reads all pixels in {reading}: segment takes "
        f"{own.core_seconds / reading.core_seconds:,.1f} times its core seconds",
    ]
    polygonize = shutil.which("gdal_polygonize.py") or shutil.which("gdal_polygonize")
    if polygonize and mask.exists():
        shapes = folder / "polygonize.gpkg"
        shapes.unlink(missing_ok=True)
        peer = measure([polygonize, "-q", mask, shapes, "-f", "GPKG"], folder / "polygonize.log", limit)
        lines.append(f"    gdal_polygonize, for the mask alone: {peer or f'stopped after {limit:g} s'}")
    return lines


def side_in(scene: Path) -> int:
    """Return the width of a raster."""
    import rasterio

    with rasterio.open(scene) as raster:
        return int(raster.width)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 100, 2000])
    parser.add_argument("--folder", type=Path, help="Folder of the scenes and the outputs.")
    parser.add_argument("--model", default="tiny", help="Checkpoint, or `colour`.")
    parser.add_argument("--questions", type=int, default=1, help="Questions about each scene.")
    parser.add_argument("--limit", type=float, default=600, help="Seconds after which a scene is given up.")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(read_all(arguments.read))
        return
    if arguments.folder is None:
        parser.error("give --folder")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    blocks: list[np.ndarray] = []
    for megapixels in arguments.megapixels:
        side = side_of(megapixels)
        scene = arguments.folder / f"scene-{side}.tif"
        if not scene.exists():
            blocks = blocks or draw_blocks()
            write_scene(scene, side, blocks)
        for line in time_scene(scene, arguments.folder, arguments.model, arguments.questions, arguments.limit):
            print(line, flush=True)


if __name__ == "__main__":
    main()
