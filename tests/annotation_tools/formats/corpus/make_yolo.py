"""Make folders of YOLO labels. Their masks come from Ultralytics' reader and its `polygon2mask`.

pip install ultralytics==8.4.190 && python make_yolo.py
"""

from pathlib import Path

import numpy as np
import ultralytics
from cases import HEIGHT, HERE, WIDTH, Cases, blank, write
from PIL import Image
from ultralytics.data.utils import polygon2mask, verify_image_label

cases = Cases("yolo", f"ultralytics {ultralytics.__version__}")
NAMES = ("pond", "mill")
LIST, NUMBERED = "names: [pond, mill]\n", "names:\n  0: pond\n  1: mill\n"
EXTRA = {"list": "train: images/train\nval: images/val\nnc: 2\n", "roboflow": "train: ../train/images\nnc: 2\n"}


def masks_of(path, category):
    """Return the union of the masks of a label file, as Ultralytics reads and draws it; None if it has none."""
    picture = HERE / "scratch.png"
    Image.new("RGB", (WIDTH, HEIGHT)).save(picture)
    _, boxes, _, segments, *_, message = verify_image_label((str(picture), str(path), "", False, 2, 0, 0, False))
    picture.unlink()
    assert boxes is not None, message
    mask, found = blank(), False
    for (number, *_), segment in zip(boxes, segments, strict=False):
        if category in (None, NAMES[int(number)]):
            pixels = segment * np.array([WIDTH, HEIGHT], np.float32)
            mask |= polygon2mask((HEIGHT, WIDTH), [pixels.reshape(-1)])
            found = True
    return mask if found else None


def yolo(name, labels, settings, skipped=None, category=None, place="labels/train"):
    for image, text in labels.items():
        write(f"yolo/{name}/{place}/{image}.txt", text)
    for file, text in settings.items():
        write(f"yolo/{name}/{file}", text)
    masks = {image: masks_of(HERE / "yolo" / name / place / f"{image}.txt", category) for image in labels}
    cases.add(Path("yolo") / name, masks, skipped, **({"category": category} if category else {}))


def line(number, *points):
    """Return a line of a label file for corners in pixels, in six digits as Ultralytics and Roboflow write them."""
    return " ".join([str(number), *(f"{x / WIDTH:.6g} {y / HEIGHT:.6g}" for x, y in points)]) + "\n"


SQUARE = line(0, (2, 3), (10, 3), (10, 12), (2, 12))
TILTED = line(0, (2.3, 2.7), (25.1, 4.4), (18.6, 17.9), (5.2, 14.1))
CONCAVE = line(0, (3, 3), (28, 3), (28, 20), (16, 9), (3, 20))
THIN = line(0, (1.2, 1.1), (30.7, 22.3), (30.9, 22.9), (1.1, 1.6))
BORDER = line(0, (0, 0), (32, 0), (32, 24), (0, 24))
MILL = line(1, (20, 14), (30, 14), (30, 22), (20, 22))
WAVE = line(0, *((16 + 11 * np.cos(t), 12 + 9 * np.sin(t)) for t in np.arange(0, 6.2, 0.1)))

yolo("shapes", {"a": SQUARE, "b": TILTED, "c": CONCAVE, "d": THIN, "e": BORDER, "f": WAVE}, {"data.yaml": LIST})
yolo("numbered-names", {"a": SQUARE + TILTED}, {"data.yaml": EXTRA["list"] + NUMBERED})
yolo("two-classes-pond", {"a": TILTED + MILL}, {"data.yaml": LIST}, {"shapes of other labels": 1}, "pond")
yolo("two-classes-mill", {"a": TILTED + MILL}, {"data.yaml": LIST}, {"shapes of other labels": 1}, "mill")
yolo("boxes", {"a": "0 0.5 0.5 0.2 0.2\n1 0.3 0.3 0.1 0.1\n"}, {"data.yaml": LIST}, {"boxes without a mask": 2})
yolo("empty-file", {"a": "", "b": CONCAVE}, {"data.yaml": LIST})
yolo("rotated-boxes", {"a": line(0, (8, 4), (20, 8), (17, 18), (5, 14))}, {"data.yaml": LIST})
yolo("class-list", {"a": WAVE}, {"classes.txt": "pond\nmill\n", "notes.json": '{"categories": []}'}, place="labels")
readme = {"README.roboflow.txt": "Exported by Roboflow\n", "README.dataset.txt": "# pond\n"}
yolo(
    "roboflow",
    {"a_jpg.rf.0f1e2d3c4b5a": TILTED},
    {"data.yaml": EXTRA["roboflow"] + LIST, **readme},
    None,
    None,
    "train/labels",
)
yolo("no-newline", {"a": SQUARE.strip()}, {"data.yaml": LIST})
cases.write()
