"""Samples in memory, for the tests of exports."""

import io

import numpy as np
from PIL import Image

from earthreason.data.schema import Record


class Memory:
    """A source of records."""

    name = "memory"

    def __init__(self, splits):
        self._splits = splits
        self.counts = {split: len(records) for split, records in splits.items()}

    def read(self, split):
        return iter(self._splits[split])


def picture(height, width, form="JPEG"):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(height * width).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def png(mask):
    """Encode a mask with Pillow alone."""
    buffer = io.BytesIO()
    Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def box(top, left, bottom, right, shape=(20, 30)):
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


def sample(name, mask, form="JPEG", **columns):
    height, width = mask.shape
    questions = columns.pop("questions", [f"Where is {name}?"])
    picked = picture(height, width, form)
    return Record(name, picked, png(mask), height, width, not mask.any(), questions, **columns)


def several():
    """A target; two targets and ignored pixels; no target; two targets of which one has no pixels, as PNG."""
    first, second, ignored = box(2, 3, 7, 13), box(5, 10, 15, 25), box(16, 0, 20, 9)
    nothing = box(0, 0, 0, 0)
    return {
        "train": [
            sample("a", first, category="lake", answers=["There."], ground_resolution=0.5),
            sample("b", first | second, category="pier", targets=[png(second), png(first)], ignore=png(ignored)),
        ],
        "test": [
            sample("c", nothing, extra='{"note": 1}'),
            sample("d", second, "PNG", category="lake", targets=[png(nothing), png(second)]),
        ],
    }
