"""Make a tiny DRSeg: `python -m tests.data.fakes.drseg FOLDER`. Its masks are filled by pycocotools one by one."""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco

HEIGHT, WIDTH = 48, 64
SQUARE = [4, 4, 14, 4, 14, 14, 4, 14]
TRIANGLE = [30.5, 10.25, 50.0, 10.25, 40.0, 33.5]
HOLE = [6, 6, 10, 6, 10, 10, 6, 10]
ANNOTATIONS = {  # the polygons of an image by its id, and those that its reader draws
    "100_0001": ([SQUARE], [SQUARE]),
    "100_0002": ([[SQUARE, HOLE], TRIANGLE], [SQUARE, TRIANGLE]),
    "100_0003": ([[3, 3, 9, 9], [5, 5, 5.5, 5, 5.5, 5.5], TRIANGLE], [TRIANGLE]),
    "100_0004": ([SQUARE], [SQUARE]),
}
SPLITS = {"train": ["100_0001"], "val": ["100_0002"], "test": ["100_0003", "100_0004"]}


def expected(stem):
    """Return the union of the drawn polygons."""
    rles = [coco.frPyObjects([polygon], HEIGHT, WIDTH)[0] for polygon in ANNOTATIONS[stem][1]]
    return np.any([coco.decode(rle) for rle in rles], axis=0)


def entry(stem):
    polygons = [{"segmentation": polygon} for polygon in ANNOTATIONS[stem][0]]
    questions = {"questions": [f"What is at {stem}?"], "answers": ["It is [SEG]."], "reasoning_types": ["spatial"]}
    return {"id": stem, "height": HEIGHT, "width": WIDTH, "ann_list": polygons, **questions}


def make(folder: Path) -> None:
    (folder / "labels").mkdir(parents=True)
    for split, stems in SPLITS.items():
        (folder / "labels" / f"DRSeg_{split}.json").write_text(json.dumps([entry(stem) for stem in stems]))
        pictures = folder / "CODrone" / f"DR{split}"
        pictures.mkdir(parents=True)
        for stem in stems:
            suffix = "JPG" if stem == "100_0004" else "jpg"
            Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 60)).save(pictures / f"{stem}.{suffix}", "JPEG")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
