"""Make a tiny GeoPixInstruct by pyarrow and pycocotools: `python -m tests.data.fakes.geopix_instruct FOLDER`."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from pycocotools import mask as coco

SIDE = 64
BOXES = {"00001_1": [4, 6, 20, 30], "00001_2": [30, 30, 60, 40], "P0001_1": [0, 0, 64, 5]}  # left, top, right, bottom
PARTS = {"train.SIOR_T": ["00001_1", "00001_2"], "valid.SOTA_T": ["P0001_1"]}


def expected(instance):
    left, top, right, bottom = BOXES[instance]
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top:bottom, left:right] = True
    return mask


def row(part, instances):
    image = instances[0].split("_")[0]
    described = []
    for name in instances:
        rle = coco.encode(np.asfortranarray(expected(name).astype(np.uint8)))
        mask = {"counts": rle["counts"].decode(), "size": rle["size"]}
        named = {"category": "ship", "category_id": 3, "description": f"the ship {name}", "instance_id": name}
        described.append({"bbox": BOXES[name], **named, "mask": mask})
    return {"image_id": image, "image_path": f"SAMRS/{part[6:10]}/images/{image}.jpg", "instances": described}


def make(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    for part, instances in PARTS.items():
        content = row(part, instances)
        pq.write_table(pa.Table.from_pylist([content]), folder / "data" / f"{part}-00000-of-00001.parquet")
        picture = folder / Path(content["image_path"]).relative_to("SAMRS")
        picture.parent.mkdir(parents=True)
        Image.new("RGB", (SIDE, SIDE), (10, 20, 90)).save(picture)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
