"""Make a tiny ReasonSeg in its real form: python -m tests.data.fakes.reasonseg FOLDER.

Masks are drawn by OpenCV as LISA draws them: the larger shape first, its outline and its area.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

TARGET = [[4, 4], [25, 6], [20, 24], [6, 20]]
IGNORED = [[10, 10], [14, 10], [14, 14], [10, 14]]
TEXTS = {"train": ["what shines at night", "the lamp"], "val": ["where one could sit"], "test": ["the way out"]}
HEIGHT, WIDTH = 30, 34


def label() -> np.ndarray:
    """The label of every picture: (30, 34) uint8, 1 is target and 255 is ignored."""
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    for shape, value in ((TARGET, 1), (IGNORED, 255)):
        points = np.array([shape], np.int32)
        cv2.polylines(drawn, points, True, value, 1)
        cv2.fillPoly(drawn, points, value)
    return drawn


def make(folder: Path) -> None:
    """Write {train,val,test}/NAME.jpg beside NAME.json."""
    shapes = [
        {"label": "target", "labels": ["target"], "shape_type": "polygon", "points": TARGET},
        {"label": "ignore", "labels": ["ignore"], "shape_type": "polygon", "points": IGNORED},
    ]
    for split, texts in TEXTS.items():
        (folder / split).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)).save(folder / split / "1.jpg")
        (folder / split / "1.json").write_text(json.dumps({"text": texts, "is_sentence": True, "shapes": shapes}))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
