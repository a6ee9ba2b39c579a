"""Make a tiny RRSIS-D in its real form: python -m tests.data.fakes.rrsis_d FOLDER.

REFER's layout: a pickle of references, `instances.json`, and JPEG images. Polygons are filled by pycocotools, as REFER
fills them.
"""

import json
import pickle
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco

POLYGONS = {
    101: [[2.0, 3.0, 15.0, 3.0, 15.0, 12.0, 2.0, 12.0]],
    102: [[5.5, 1.5, 18.0, 6.0, 9.0, 17.0]],
    103: [[1.0, 1.0, 6.0, 1.0, 6.0, 6.0, 1.0, 6.0], [10.0, 10.0, 17.0, 10.0, 17.0, 18.0]],
}
SENTENCES = {101: ["the pool on the left", "a round pool"], 102: ["the stadium"], 103: ["the dam"]}
SPLITS = {101: "train", 102: "val", 103: "test"}
CATEGORIES = {1: "pool", 2: "stadium", 3: "dam"}
SIZE = 20


def mask_of(reference: int) -> np.ndarray:
    """The mask of a reference, filled by pycocotools: (20, 20) bool."""
    return coco.decode(coco.merge(coco.frPyObjects(POLYGONS[reference], SIZE, SIZE))) != 0


def make(folder: Path, name: str = "rrsisd") -> None:
    """Write `NAME/refs(unc).p`, `NAME/instances.json` and `images/NAME/JPEGImages/*.jpg`."""
    images = folder / "images" / name / "JPEGImages"
    for place in (folder / name, images):
        place.mkdir(parents=True, exist_ok=True)
    references, listed, annotations = [], [], []
    for number, (reference, polygons) in enumerate(POLYGONS.items(), start=1):
        file_name = f"{number:05d}.jpg"
        pixels = np.random.default_rng(number).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(images / file_name)
        listed.append({"id": number, "file_name": file_name, "height": SIZE, "width": SIZE})
        annotations.append({"id": 10 + number, "image_id": number, "category_id": number, "segmentation": polygons})
        sentences = [
            {"sent_id": n, "raw": text, "sent": text, "tokens": text.split()}
            for n, text in enumerate(SENTENCES[reference], start=1)
        ]
        references.append(
            {
                "ref_id": reference,
                "ann_id": 10 + number,
                "image_id": number,
                "category_id": number,
                "file_name": file_name,
                "split": SPLITS[reference],
                "sentences": sentences,
                "sent_ids": [sentence["sent_id"] for sentence in sentences],
            }
        )
    categories = [{"id": key, "name": category} for key, category in CATEGORIES.items()]
    table = {"images": listed, "annotations": annotations, "categories": categories}
    (folder / name / "instances.json").write_text(json.dumps(table))
    (folder / name / "refs(unc).p").write_bytes(pickle.dumps(references))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
