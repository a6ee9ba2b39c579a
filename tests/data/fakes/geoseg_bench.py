"""Make a tiny GeoSeg-Bench in its real form: python -m tests.data.fakes.geoseg_bench FOLDER.

`SPLIT.json` lists paths of image, mask and questions below its folder. Masks are grey PNG in which 255 is target.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np

BOX = "Segment the object in the box x0,y0=[0.25,0.10], x1,y1=[0.50,0.60]."
POINTS = "Segment what lies at [0.20,0.40], [0.30,0.45]."
SAMPLES = {
    "test": [
        ("ref", "0001", "The bridge over the river.", []),
        ("intera", "0001", BOX, ["The storage tank."]),
        ("intera", "0002", POINTS, ["The pier."]),
        ("reason", "0001", "Where could a plane land?", ["The runway, because it is long and flat."]),
    ],
    "train": [("reason", "0002", "Where is water kept?", ["The dam."])],
}
TASKS = {"ref": "referring", "intera": "interactive", "reason": "reasoning"}
HEIGHT, WIDTH = 24, 32


def mask_of(task: str, stem: str) -> np.ndarray:
    """The mask of a sample, drawn by OpenCV: (height, width) uint8 with 0 and 255."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    left = 2 + 3 * int(stem) + len(task)
    cv2.rectangle(mask, (left, 4), (left + 9, 4 + int(stem)), 255, -1)
    return mask


def expected() -> dict[str, list[dict]]:
    """What a reader has to give, by split: task, questions, answers and mask of every sample, in order."""
    return {
        split: [
            {"task": TASKS[task], "questions": [text], "answers": reasons, "mask": mask_of(task, stem) == 255}
            for task, stem, text, reasons in samples
        ]
        for split, samples in SAMPLES.items()
    }


def make(folder: Path) -> None:
    """Write the set."""
    rng = np.random.default_rng(3)
    for split, samples in SAMPLES.items():
        index = []
        for task, stem, text, reasons in samples:
            entry = {
                "img": f"{task}/images/{stem}.jpg",
                "mask": f"{task}/masks/{stem}.png",
                "json": f"{task}/jsons/{stem}.json",
            }
            for path in entry.values():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
            # The set's own reader asks for `/ref/` in the joined path, so the folders are below the root.
            cv2.imwrite(str(folder / entry["img"]), rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8))
            cv2.imwrite(str(folder / entry["mask"]), mask_of(task, stem))
            (folder / entry["json"]).write_text(json.dumps({"question": [text], "reason": reasons}))
            index.append(entry)
        (folder / f"{split}.json").write_text(json.dumps(index))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
