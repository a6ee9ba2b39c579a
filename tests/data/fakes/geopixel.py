"""Make a tiny GeoPixelD by OpenCV: `python -m tests.data.fakes.geopixel FOLDER`."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SIDE = 800
COURT, TWO_SHIPS, THIN = (
    [[[700, 380], [800, 384], [785, 575], [694, 576]]],  # reaches 800, one past the last pixel
    [[[100, 100], [180, 100], [140, 160]], [[120, 90], [200, 90], [160, 150]]],  # they overlap
    [[[10, 10], [60, 10], [60, 10]]],
)
CAPTIONS = {
    "train/P0224_0_800_0_800": ("A <p> court </p> [SEG] lies here.", [COURT], ["court"]),
    "test/P0003_0_800_347_1147": (
        "The <p> court-1 </p> [SEG] is near <p>two ships</p> [SEG] and a <p> pier </p> [SEG] .",
        [COURT, TWO_SHIPS, THIN],
        ["court-1", "two ships", "pier"],
    ),
}
ASKED = "Which objects are here? Mark them."


def expected(stem):
    """Draw one mask for each group, as GeoPixel's reader does: `fillPoly` of one polygon after the other."""
    masks = []
    for group in CAPTIONS[stem][1]:
        mask = np.zeros((SIDE, SIDE), np.uint8)
        for polygon in group:
            cv2.fillPoly(mask, np.array([polygon], dtype=np.int32), color=1)
        masks.append(mask == 1)
    return masks


def make(folder: Path) -> None:
    for number, (stem, (caption, groups, _)) in enumerate(CAPTIONS.items()):
        picture = folder / f"{stem}.png"
        picture.parent.mkdir(parents=True)
        content = {"id": number, "img": f"data/GeoPixelD/{stem}.png", "gcg_description": caption, "polygons": groups}
        picture.with_suffix(".json").write_text(json.dumps(content))
        Image.new("RGB", (SIDE, SIDE), (40, 80, 120)).save(picture)
        Image.new("RGB", (SIDE, SIDE), (40, 80, 120)).save(picture.with_name("P9999_0_800_0_800.png"))  # no annotation
    stem = "data/GeoPixelD/train/P0224_0_800_0_800"
    turns = [{"from": "human", "value": ASKED}, {"from": "bot", "value": "A <p> court </p> [SEG] lies here."}]
    dialogue = {"id": 0, "conversations": turns, "image": f"{stem}.png", "polygons": f"{stem}.json"}
    (folder / "GeoPixelD.json").write_text(json.dumps([dialogue], indent=4))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
