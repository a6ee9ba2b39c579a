"""Make a tiny LISS4Reason in its real form: python -m tests.data.fakes.liss4reason FOLDER."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np

STEMS = {"train": ["0001", "0002"], "val": ["0001"], "test": ["0001"]}
SIZE = 18


def mask_of(split: str, stem: str) -> np.ndarray:
    """The mask of a sample, drawn by OpenCV: (18, 18) bool."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(mask, (4 + len(split), 8), 2 + int(stem), 255, -1)
    return mask != 0


def questions_of(split: str, stem: str) -> dict:
    return {"questions": [f"Where are crops grown in {split} {stem}?"], "answer": ["The fields, which are green."]}


def make(folder: Path) -> None:
    """Write {train,val,test}/{images,labels,qa}."""
    rng = np.random.default_rng(4)
    for split, stems in STEMS.items():
        for part in ("images", "labels", "qa"):
            (folder / split / part).mkdir(parents=True, exist_ok=True)
        for stem in stems:
            pixels = rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / split / "images" / f"{stem}.png"), pixels)
            cv2.imwrite(str(folder / split / "labels" / f"{stem}.png"), mask_of(split, stem).astype(np.uint8) * 255)
            (folder / split / "qa" / f"{stem}.json").write_text(json.dumps(questions_of(split, stem)))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
