"""Write labelme.json: random shapes, and the pixels that labelme's own `shape_to_mask` marks.

python -m venv /tmp/venv && /tmp/venv/bin/pip install labelme==6.3.1 && /tmp/venv/bin/python make_labelme.py
"""

import base64
import io
import json
import math
import random
from pathlib import Path

import labelme
import numpy as np
import PIL
from labelme.utils import shape_to_mask, shapes_to_label
from PIL import Image

HEIGHT, WIDTH, EACH = 24, 32, 50
chance = random.Random(23)


def number(low, high):
    """A coordinate as a mouse leaves it: whole, half, of a zoomed canvas, or just below a whole one."""
    value = chance.uniform(low, high)
    return chance.choice([round(value), round(value * 2) / 2, round(value, 2), value, math.floor(value) + 0.999])


def star():
    x, y = chance.uniform(8, 24), chance.uniform(7, 17)
    turns = sorted(chance.uniform(0, 2 * math.pi) for _ in range(chance.randint(3, 9)))
    reach = [chance.uniform(0.4, 7) for _ in turns]
    return [[x + r * math.cos(t), y + r * math.sin(t)] for r, t in zip(reach, turns, strict=True)]


def tilted():
    x, y, angle = chance.uniform(10, 20), chance.uniform(8, 14), chance.uniform(0, math.pi)
    wide, high = chance.uniform(0.5, 7), chance.uniform(0.5, 6)
    c, s = math.cos(angle), math.sin(angle)
    return [
        [x + i * wide * c - j * high * s, y + i * wide * s + j * high * c]
        for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]


def shape_of(kind):
    if kind == "polygon":
        return kind, star()
    if kind == "wild polygon":
        return "polygon", [[number(-9, 41), number(-9, 33)] for _ in range(chance.randint(3, 8))]
    if kind == "oriented_rectangle":
        return kind, tilted()
    if kind == "circle":
        return kind, [[number(-3, 35), number(-3, 27)], [number(0, 31), number(0, 23)]]
    return kind, [[number(0, 31), number(0, 23)], [number(0, 31), number(0, 23)]]


def runs(mask):
    flat = mask.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return " ".join(map(str, [0, *lengths] if flat[0] else lengths))


def mask_shape():
    top, left, high, wide = chance.randint(0, 10), chance.randint(0, 12), chance.randint(1, 12), chance.randint(1, 18)
    crop = np.array([[chance.random() < 0.5 for _ in range(wide)] for _ in range(high)])
    crop[0, 0] = True
    content = io.BytesIO()
    Image.fromarray(crop.astype(np.uint8) * chance.choice([1, 255])).save(content, "PNG")
    points = [[left, top], [left + wide - 1, top + high - 1]]
    if chance.random() < 0.5:
        points = [[x + 0.75, y + 0.75] for x, y in points]
    shape = {"label": "pond", "points": points, "shape_type": "mask", "group_id": None, "mask": crop}
    labels, _ = shapes_to_label((HEIGHT, WIDTH), [shape], {"pond": 1})
    return points, base64.b64encode(content.getvalue()).decode(), labels == 1


shapes = []
for kind in ("polygon", "wild polygon", "rectangle", "oriented_rectangle", "circle"):
    for _ in range(EACH):
        shape_type, points = shape_of(kind)
        mask = shape_to_mask((HEIGHT, WIDTH), points, shape_type)
        shapes.append({"shape_type": shape_type, "points": points, "runs": runs(mask), "wild": kind.startswith("wild")})
for _ in range(EACH // 2):
    points, png, mask = mask_shape()
    shapes.append({"shape_type": "mask", "points": points, "mask": png, "runs": runs(mask), "wild": False})

Path(__file__).with_name("labelme.json").write_text(
    json.dumps(
        {"labelme": labelme.__version__, "pillow": PIL.__version__, "size": [HEIGHT, WIDTH], "shapes": shapes},
    ).replace('{"shape_type"', '\n{"shape_type"')
    + "\n"
)
