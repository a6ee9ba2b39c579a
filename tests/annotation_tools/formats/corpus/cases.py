"""Collect cases of the corpus: a foreign file, and the masks that it means. Used by the scripts `make_*.py`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pycocotools import mask as coco

HERE = Path(__file__).parent
HEIGHT, WIDTH = 24, 32
"""Size of all images of the corpus, pixels."""


class Cases:
    """Cases of one script, written to `expected-NAME.json`."""

    def __init__(self, name, by):
        self.name, self.by, self.cases = name, by, []

    def add(self, path, masks, skipped=None, targets=None, **options):
        """Add a case.

        Args:
            path: file or folder below this one.
            masks: (HEIGHT, WIDTH) array by image; None for an image that was not annotated.
            skipped: number of things that are left out, by kind.
            targets: arrays of the separate targets by image.
            options: options for the reader.
        """
        self.cases.append(
            {
                "path": str(path),
                "options": options,
                "masks": {name: None if mask is None else encoded(mask) for name, mask in masks.items()},
                "skipped": skipped or {},
                "targets": {name: sorted(map(encoded, several)) for name, several in (targets or {}).items()},
            }
        )

    def write(self):
        """Write the list of cases."""
        text = json.dumps({"by": self.by, "cases": self.cases}, indent=1)
        (HERE / f"expected-{self.name}.json").write_text(text + "\n")


def encoded(mask):
    """Return the counts of COCO's RLE of an array."""
    return coco.encode(np.asfortranarray(np.asarray(mask, np.uint8)))["counts"].decode()


def write(path, text):
    """Write a text below this folder; return the path below it."""
    target = HERE / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return path


def blank():
    """Return a mask without foreground."""
    return np.zeros((HEIGHT, WIDTH), np.uint8)


def cvat_xml(images, meta=""):
    """Return CVAT for images 1.1 of images by name, each with its elements."""
    listed = "".join(
        f'<image id="{number}" name="{name}" width="{WIDTH}" height="{HEIGHT}">{shapes}</image>'
        for number, (name, shapes) in enumerate(images.items())
    )
    return f"<?xml version='1.0' encoding='utf-8'?>\n<annotations><version>1.1</version>{meta}{listed}</annotations>\n"


def cvat_task(*labels):
    """Return the head of a CVAT file."""
    named = "".join(f"<label><name>{label}</name><attributes></attributes></label>" for label in labels)
    return f"<meta><task><id>1</id><name>t</name><labels>{named}</labels></task></meta>"
