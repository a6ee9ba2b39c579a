"""Make a tiny GRES by OpenCV: `python -m tests.data.fakes.gres FOLDER [side-by-side]`."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SIDE = 512
POLYGONS = {  # vertices reach 512, one past the last pixel
    "lisat_gres_000000000010": [[427.0, 0.0], [512.0, 0.0], [512.0, 64.0], [427.0, 2.0]],
    "lisat_gres_000000000016": [[100.0, 500.0], [180.0, 512.0], [100.0, 512.0]],
    "lisat_gres_000000000023": [[10.0, 10.0], [60.0, 60.0], [60.0, 10.0], [10.0, 60.0]],  # crosses itself
    "lisat_gres_000000000102": [[200.0, 200.0], [260.0, 200.0], [230.0, 270.0]],
}
SPLITS = {
    "train": ["lisat_gres_000000000010"],
    "val": ["lisat_gres_000000000016"],
    "test": ["lisat_gres_000000000023", "lisat_gres_000000000102"],
}
SUBSETS = {"small": ["lisat_gres_000000000102"], "large": ["lisat_gres_000000000023"]}


def expected(stem):
    """Draw as LISA does: the outline and the filled polygon, over vertices cast to int32."""
    points = [np.array(POLYGONS[stem], np.float64).astype(np.int32)]
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.polylines(mask, points, True, 1, 1)
    return cv2.fillPoly(mask, points, 1) == 1


def annotation(stem, texts):
    shape = {"label": "target", "labels": ["target"], "shape_type": "polygon", "image_name": f"{stem}.jpg"}
    shape |= {"points": POLYGONS[stem], "group_id": None, "group_ids": [None], "flags": {}}
    return {"text": [f"Locate {n} of {stem}." for n in range(texts)], "is_sentence": True, "shapes": [shape]}


def make(folder: Path, annotations="gres-annotations", images="gres-images") -> None:
    for split, stems in SPLITS.items():
        labels, pictures = folder / annotations / split, folder / images / split
        labels.mkdir(parents=True)
        pictures.mkdir(parents=True, exist_ok=True)
        (labels / f"{split}.txt").write_text("\n".join(stems + stems))  # the real lists repeat stems
        for stem in stems:
            (labels / f"{stem}.json").write_text(json.dumps(annotation(stem, 3 if split == "train" else 1), indent=4))
            Image.new("RGB", (SIDE, SIDE), (70, 90, 110)).save(pictures / f"{stem}.jpg")
    for subset, stems in SUBSETS.items():
        (folder / annotations / "test" / f"{subset}.txt").write_text("\n".join(stems))


def make_side_by_side(folder: Path) -> None:
    make(folder, ".", ".")


if __name__ == "__main__":
    (make_side_by_side if len(sys.argv) > 2 else make)(Path(sys.argv[1]))
