"""Encodings of masks by pycocotools and numpy, apart from our own code, for expected values."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as coco


def compressed(mask):
    encoded = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def uncompressed(mask):
    """The runs of a mask by columns, counted by numpy; the first one is background."""
    flat = mask.ravel(order="F").astype(int)
    ends = np.flatnonzero(np.diff(flat, prepend=0)).tolist()
    return {"size": list(mask.shape), "counts": np.diff([0, *ends, flat.size]).tolist()}


def decoded(rle):
    return coco.decode({"size": rle["size"], "counts": rle["counts"].encode()}).astype(bool)
