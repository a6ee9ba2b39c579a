"""Make a tiny RefSegRS in its real form: python -m tests.data.fakes.refsegrs FOLDER."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

LINES = {
    "train": [("17", "road"), ("17", "vehicle along the road")],
    "val": [("40", "impervious surface")],
    "test": [("7", "long truck")],
}
SIZE = 16


def mask_of(number: str) -> np.ndarray:
    """The mask of a tile: (16, 16) bool."""
    mask = np.zeros((SIZE, SIZE), bool)
    mask[int(number) % 7 : 10, 4:12] = True
    return mask


def make(folder: Path) -> None:
    """Write `images/*.tif`, `masks/*.tif` with 0 and 255, and `output_phrase_SPLIT.txt`."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for split, lines in LINES.items():
        for number, _ in lines:
            pixels = np.random.default_rng(int(number)).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / f"{number}.tif")
            Image.fromarray(mask_of(number).astype(np.uint8) * 255).save(folder / "masks" / f"{number}.tif")
        (folder / f"output_phrase_{split}.txt").write_text("".join(f"{number} {text}\n" for number, text in lines))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
