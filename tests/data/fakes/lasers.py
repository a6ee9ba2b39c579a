"""Make a tiny LaSeRS by pycocotools: `python -m tests.data.fakes.lasers FOLDER`."""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco

SIDE = 512
RECTANGLES = {  # left, top, right, bottom in pixels; right and bottom are outside
    "a": (100, 100, 110, 110),
    "b": (200, 300, 220, 310),
    "c": (300, 100, 310, 110),
    "d": (50, 400, 70, 420),
    "e": (400, 400, 420, 420),
}
TARGETS = {  # names of the rectangles by sample id, in the order of [SEG]
    "lasers_train_train_ann_1": ["a"],
    "lasers_test_test_multi_target_7": ["a", "b"],
    "lasers_test_test_multi_target_8": ["c", "d"],
    "lasers_test_test_reasoning_7": ["e"],
}


def mask_of(name):
    left, top, right, bottom = RECTANGLES[name]
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def compressed(name):
    rle = coco.encode(np.asfortranarray(mask_of(name)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def run_lengths(name):
    """Runs in columns, counted by hand: `top` rows above in the first column, then `right - left` equal columns."""
    left, top, right, bottom = RECTANGLES[name]
    height = bottom - top
    runs = [left * SIDE + top, height]
    for _ in range(right - left - 1):
        runs += [SIDE - height, height]
    return {"size": [SIDE, SIDE], "counts": [*runs, SIDE * SIDE - sum(runs)]}


def entry(number, picture, answer, masks):
    return {"id": number, "image_name": picture, "description": f"Which is {number}?", "answer": answer, "mask": masks}


def files():
    """Entries by the path of their annotation file."""
    two = "They are [SEG] and [SEG]."
    return {
        "train/annotations/train_ann.json": [entry(1, "P1.jpg", "It is [SEG].", [compressed("a")])],
        "test/annotations/test_multi_target.json": [
            entry(7, "P7.jpg", two, [compressed("a"), run_lengths("b")]),
            entry(8, "P8.jpg", two, [run_lengths("c"), compressed("d")]),
        ],
        "test/annotations/test_reasoning.json": [entry(7, "P7.jpg", "It is [SEG].", [compressed("e")])],
    }


def make(folder: Path) -> None:
    for path, entries in files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(entries))
    for path, shade in (("train/images/P1.jpg", 60), ("test/images/P7.JPG", 90), ("test/images/P8.jpg", 120)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (SIDE, SIDE), (shade, shade, 90)).save(folder / path, "JPEG")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
