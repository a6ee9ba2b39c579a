"""Make a tiny RISBench in its two forms: python -m tests.data.fakes.risbench FOLDER.

`make` writes the authors' folder, `make_mirror` the parquet files of the Hub's mirror, `make_saved` the Arrow files of
`save_to_disk`.
"""

import io
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

LINES = {
    "train": [("train_0_0.png", "the ship on the left"), ("train_0_1.png", "a vehicle near the building at (3, 4)")],
    "val": [("train_1_0.png", "the harbor in the middle")],
    "test": [("test_0_0.png", "the small ship"), ("test_0_3.png", "the  bridge, which is the longest")],
}
HUB_NAMES = {"train": "train", "val": "validation", "test": "test"}
SIZE = 20


def mask_of(name: str) -> np.ndarray:
    """The mask of a picture as its reader has it, `> 0`: (20, 20) bool. Soft edges are target as well."""
    return grey_of(name) > 0


def grey_of(name: str) -> np.ndarray:
    numbers = [int(part) for part in name.removesuffix(".png").split("_")[1:]]
    grey = np.zeros((SIZE, SIZE), np.uint8)
    grey[2 + numbers[0] : 9, 3 + numbers[1] : 15] = 255
    grey[9, 3:6] = 90 if name.startswith("test") else 255
    return grey


def picture_of(name: str) -> Image.Image:
    seed = sum(map(ord, name))
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8))


def make(folder: Path) -> None:
    """Write `img_rgb/`, `mask/` and `output_phrase_SPLIT.txt`."""
    for part in ("img_rgb", "mask"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for split, lines in LINES.items():
        for name, _ in lines:
            picture_of(name).save(folder / "img_rgb" / name)
            Image.fromarray(grey_of(name)).save(folder / "mask" / name)
        text = "".join(f"{name} {phrase}\n" for name, phrase in lines)
        (folder / f"output_phrase_{split}.txt").write_text(text)


def make_mirror(folder: Path) -> None:
    """Write `data/SPLIT-00000-of-00001.parquet` with image, mask and phrase."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for split, lines in LINES.items():
        pq.write_table(_table(lines), folder / "data" / f"{HUB_NAMES[split]}-00000-of-00001.parquet")


def make_saved(folder: Path) -> None:
    """Write `SPLIT/data-00000-of-00001.arrow`, and a file that `datasets` keeps for itself."""
    for split, lines in LINES.items():
        place = folder / HUB_NAMES[split]
        place.mkdir(parents=True, exist_ok=True)
        table = _table(lines)
        for name in ("data-00000-of-00001.arrow", "cache-0123456789abcdef.arrow"):
            with pa.ipc.new_stream(place / name, table.schema) as writer:
                writer.write_table(table)


def _table(lines: list[tuple[str, str]]) -> pa.Table:
    return pa.table(
        {
            "image": [{"bytes": _png(picture_of(name)), "path": None} for name, _ in lines],
            "mask": [{"bytes": _png(Image.fromarray(grey_of(name))), "path": None} for name, _ in lines],
            "phrase": [phrase for _, phrase in lines],
        }
    )


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
