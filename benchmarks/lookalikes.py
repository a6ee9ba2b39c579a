"""Count the copies that `earthreason verify` finds, and the distinct images that it takes for copies.

    python benchmarks/lookalikes.py                # the half of the real images that no threshold was tuned on
    python benchmarks/lookalikes.py --half tuning --synthetic 600 --more FOLDER

Copies are made from ../shared/data/real_samples by Pillow and numpy. Distinct images are tiles of these, which do not
overlap, tiles under one frame and logo, nearly flat pictures, and synthetic scenes. `--more` adds a folder of images.
"""

import argparse
import io
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from rich.console import Console
from rich.table import Table

from earthreason.data.audit.lookalikes import find_lookalikes
from earthreason.data.audit.looks import Look, look, read_look
from earthreason.synthetic.release import write_release

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "real_samples" / "images"
TILE = 256
SUFFIXES = (".jpg", ".png", ".tif")
Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def see(image: Image.Image) -> Look:
    grey = image.convert("L")
    grey.thumbnail((512, 512))
    return read_look((image.height, image.width), look(grey))


def recode(quality: int) -> Change:
    def change(image: Image.Image, _: np.random.Generator) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return change


def scale(factor: float) -> Change:
    return lambda image, _: image.resize((round(image.width * factor), round(image.height * factor)))


def lighten(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return ImageEnhance.Contrast(ImageEnhance.Brightness(image).enhance(1.2)).enhance(0.8)


def add_noise(image: Image.Image, chance: np.random.Generator) -> Image.Image:
    noisy = np.asarray(image) + chance.normal(0, 5, (image.height, image.width, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def crop_area(share: float) -> Change:
    """Cut this share of the area away, with the remainder at a random place."""

    def change(image: Image.Image, chance: np.random.Generator) -> Image.Image:
        width, height = (round(side * (1 - share) ** 0.5) for side in image.size)
        x, y = int(chance.integers(image.width - width + 1)), int(chance.integers(image.height - height + 1))
        return image.crop((x, y, x + width, y + height))

    return change


def crop_sides(share: float) -> Change:
    """Cut this share of the width and height off at each of the four sides."""

    def change(image: Image.Image, _: np.random.Generator) -> Image.Image:
        x, y = round(image.width * share), round(image.height * share)
        return image.crop((x, y, image.width - x, image.height - y))

    return change


def turn(way: Image.Transpose) -> Change:
    return lambda image, _: image.transpose(way)


def chain(*changes: Change) -> Change:
    def change(image: Image.Image, chance: np.random.Generator) -> Image.Image:
        for one in changes:
            image = one(image, chance)
        return image

    return change


FLIP = turn(Image.Transpose.FLIP_LEFT_RIGHT)
COPIES: dict[str, Change] = {
    "JPEG, quality 40": recode(40),
    "scaled by 0.6": scale(0.6),
    "brighter, less contrast": lighten,
    "noise of 5 levels": add_noise,
    "crop of 10 % of the area": crop_area(0.1),
    "crop of 10 % at each side": crop_sides(0.1),
    "crop of 25 % of the area": crop_area(0.25),
    "crop of 25 % at each side": crop_sides(0.25),
    "flipped left to right": FLIP,
    "flipped top to bottom": turn(Image.Transpose.FLIP_TOP_BOTTOM),
    "turned by 90": turn(Image.Transpose.ROTATE_90),
    "turned by 180": turn(Image.Transpose.ROTATE_180),
    "turned by 270": turn(Image.Transpose.ROTATE_270),
    "transposed": turn(Image.Transpose.TRANSPOSE),
    "crop 10 % + flip + JPEG": chain(crop_area(0.1), FLIP, recode(60)),
    "crop 25 % + turn + light": chain(crop_area(0.25), turn(Image.Transpose.ROTATE_90), lighten),
    "crop 10 % + half size + JPEG": chain(crop_area(0.1), scale(0.5), recode(60)),
    "turned by 10 degrees": lambda image, _: image.rotate(10, Image.Resampling.BICUBIC),
}
SHIFTS = ((64, 0), (0, 64), (64, 64), (-96, 32))


def shifted(image: Image.Image, x: int, y: int, chance: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """Cut two tiles of at most 512 px that lie (x, y) px apart."""
    side = min(512, image.width - abs(x), image.height - abs(y))
    left, top = (
        int(chance.integers(max(0, -step), length - side - max(0, step) + 1))
        for step, length in ((x, image.width), (y, image.height))
    )
    return tuple(
        image.crop((left + across, top + down, left + across + side, top + down + side))
        for across, down in ((0, 0), (x, y))
    )


def tiles(images: list[Image.Image]) -> Iterator[Image.Image]:
    for image in images:
        for y in range(0, image.height - TILE + 1, TILE):
            for x in range(0, image.width - TILE + 1, TILE):
                yield image.crop((x, y, x + TILE, y + TILE))


def framed(tile: Image.Image) -> Image.Image:
    """Give every tile the same empty corner, logo and scale bar."""
    draw = ImageDraw.Draw(tile)
    draw.polygon([(0, 0), (110, 0), (0, 140)], fill=0)
    draw.text((150, 230), "Imagery (c) 2026 Maps", fill=(255, 255, 255))
    draw.text((10, 230), "N 100 m", fill=(255, 255, 255))
    draw.line([(10, 250), (60, 250)], fill=(255, 255, 255), width=2)
    return tile


def nearly_flat(count: int, chance: np.random.Generator) -> Iterator[Image.Image]:
    """Water, snow and haze: a slope of a few grey levels, with soft noise, saved as JPEG."""
    y, x = np.mgrid[0:TILE, 0:TILE] / TILE
    for _ in range(count):
        base, slope, angle = chance.uniform(20, 235), chance.uniform(0, 25), chance.uniform(0, 2 * np.pi)
        level = base + slope * (np.cos(angle) * x + np.sin(angle) * y)
        noisy = np.clip(level + chance.normal(0, chance.uniform(1, 12), x.shape), 0, 255).astype(np.uint8)
        soft = Image.fromarray(noisy).filter(ImageFilter.GaussianBlur(chance.uniform(0, 3)))
        yield recode(80)(soft.convert("RGB"), chance)


def dull(images: list[Image.Image], count: int) -> list[Image.Image]:
    """Tiles with the least contrast that is above 2 grey levels: water, sand, fields."""
    ranked = sorted((float(np.asarray(tile.convert("L")).std()), n, tile) for n, tile in enumerate(tiles(images)))
    return [tile for contrast, _, tile in ranked if contrast > 2][:count]


def count_found(
    console: Console, title: str, images: list[Image.Image], chance: np.random.Generator, shift: bool
) -> None:
    table = Table("copy", "found", "of", "wrong pairs", "said, for the first", title=title)
    changes: dict[str, Callable[[Image.Image], tuple[Image.Image, Image.Image]]] = {
        name: lambda image, change=change: (image, change(image, chance)) for name, change in COPIES.items()
    }
    if shift:
        for x, y in SHIFTS:
            changes[f"shifted by {x}, {y} px"] = lambda image, x=x, y=y: shifted(image, x, y, chance)
    for name, change in changes.items():
        pairs = [change(image) for image in images]
        found = find_lookalikes([see(side) for sides in zip(*pairs, strict=True) for side in sides])
        right = [pair for pair in found if pair.second - pair.first == len(images)]
        said = right[0].how or "a copy" if right else ""
        table.add_row(name, str(len(right)), str(len(images)), str(len(found) - len(right)), said)
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("tuning", "report", "all"), default="report")
    parser.add_argument("--synthetic", type=int, default=600, help="number of synthetic scenes")
    parser.add_argument("--more", type=Path, help="folder with further real images, for the distinct tiles")
    parser.add_argument("--release", type=Path, help="folder with images in place of newly made synthetic scenes")
    parser.add_argument("--seed", type=int, default=5)
    a = parser.parse_args()
    chance = np.random.default_rng(a.seed)
    console = Console(width=140)
    chosen = {"tuning": slice(0, None, 2), "report": slice(1, None, 2), "all": slice(None)}[a.half]
    images = [Image.open(path).convert("RGB") for path in sorted(REAL.iterdir())[chosen]]
    count_found(console, "real images", images, chance, shift=True)
    count_found(console, "dull tiles of 256 px", dull(images, 20), chance, shift=False)
    paths = sorted(path for path in a.more.iterdir() if path.suffix.lower() in SUFFIXES) if a.more else []
    images += [Image.open(path).convert("RGB") for path in paths]

    table = Table(
        "distinct images", "number", "wrong pairs", "images in them, per 1,000", "seconds", "seconds an image"
    )

    def false_alarms(name: str, distinct: Iterator[Image.Image]) -> None:
        looks, spent = [], 0.0
        for image in distinct:
            start = time.process_time()
            looks.append(see(image))
            spent += time.process_time() - start
        start = time.process_time()
        wrong = find_lookalikes(looks)
        seconds = time.process_time() - start
        inside = {number for pair in wrong for number in (pair.first, pair.second)}
        for pair in wrong:
            console.print(f"wrong: {name} {pair}", markup=False)
        share = f"{1000 * len(inside) / len(looks):.2f}"
        table.add_row(name, str(len(looks)), str(len(wrong)), share, f"{seconds:.1f}", f"{spent / len(looks):.4f}")

    false_alarms("tiles of real images", tiles(images))
    false_alarms("the same under one frame and logo", (framed(tile) for tile in tiles(images)))
    false_alarms("nearly flat pictures", nearly_flat(600, chance))
    with tempfile.TemporaryDirectory() as folder:
        root = a.release or Path(folder) / "set"
        if a.release is None:
            write_release(root, a.synthetic, seed=a.seed)
        scenes = sorted(root.glob("*/images/*"))[: a.synthetic]
        false_alarms("synthetic scenes", (Image.open(path).convert("RGB") for path in scenes))
    console.print(table)
    console.print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
