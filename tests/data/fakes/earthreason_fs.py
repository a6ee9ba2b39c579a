"""Make a tiny EarthReason-FS in its real form: python -m tests.data.fakes.earthreason_fs FOLDER.

The training files are subsets of each other: here 1, 3 and 4 rows of the same four samples.
"""

import io
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

IDS = {
    "train_1shot": ["EarthReason_0001_0"],
    "train_5shot": ["EarthReason_0001_0", "EarthReason_0002_0", "EarthReason_0003_1"],
    "train_10shot": ["EarthReason_0001_0", "EarthReason_0002_0", "EarthReason_0003_1", "EarthReason_0004_0"],
    "val": ["EarthReason_0100_0", "EarthReason_0100_1"],
    "test": ["EarthReason_0200_0", "EarthReason_0201_0"],
}
SIZE = 12


def mask_of(sample_id: str) -> np.ndarray:
    """The mask of a sample: (12, 12) bool."""
    mask = np.zeros((SIZE, SIZE), bool)
    mask[2 : 4 + int(sample_id.split("_")[1]) % 5, 3:9] = True
    return mask


def make(folder: Path) -> None:
    """Write `data/train_Nshot-*.parquet`, and the files of val and test."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for name, ids in IDS.items():
        rows = [_row(sample_id) for sample_id in ids]
        files = 2 if name == "test" else 1
        for number in range(files):
            table = pa.Table.from_pylist(rows[number::files])
            pq.write_table(table, folder / "data" / f"{name}-{number:05d}-of-{files:05d}.parquet")


def _row(sample_id: str) -> dict:
    pixels = np.random.default_rng(int(sample_id.split("_")[1])).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    return {
        "id": sample_id,
        "image": {"bytes": _encode(Image.fromarray(pixels), "JPEG"), "path": f"{sample_id}.jpg"},
        "mask": {"bytes": _encode(Image.fromarray(mask_of(sample_id)), "PNG"), "path": f"{sample_id}.png"},
        "problem": f"Where would {sample_id} be?",
        "category": "lake",
        "bbox_list": [[3, 2, 9, 6]],
    }


def _encode(picture: Image.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form)
    return buffer.getvalue()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
