"""Decode masks of one image on the box around all of their foreground, and no pixel outside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from earthreason.errors import RLEError
from earthreason.masks.kernel import foreground_boundaries
from earthreason.masks.rle import decode_rle, encode_mask
from earthreason.types import RLE


@dataclass(frozen=True)
class Crops:
    """Masks of one image, cut to the same box.

    Attributes:
        size: height and width of the image, pixels.
        top: first row of the box.
        left: first column of the box.
        masks: (height, width) bool masks of the box. There is no foreground outside it.
    """

    size: tuple[int, int]
    top: int
    left: int
    masks: list[np.ndarray]

    def encode(self, mask: np.ndarray) -> RLE:
        """Encode a (height, width) bool mask of the box at the size of the image."""
        whole = np.zeros(self.size, bool)
        whole[self.top : self.top + mask.shape[0], self.left : self.left + mask.shape[1]] = mask
        return encode_mask(whole)


def crop_masks(rles: Sequence[RLE]) -> Crops:
    """Decode one or more masks on their joint bounding box; without any foreground, on the first pixel.

    Raises:
        RLEError: the sizes differ, or an encoding is not a mask of its stated size.
    """
    height, width = _size(rles)
    runs = [foreground_boundaries(rle) for rle in rles]
    boxes = [_box(boundaries, height) for boundaries in runs if boundaries.size]
    top, left, bottom, right = (0, 0, 1, 1)
    if boxes:
        sides = np.array(boxes)
        (top, left), (bottom, right) = sides[:, :2].min(axis=0).tolist(), sides[:, 2:].max(axis=0).tolist()
    masks = [_decode_columns(boundaries, height, left, right)[top:bottom] for boundaries in runs]
    return Crops((height, width), top, left, [np.ascontiguousarray(mask) for mask in masks])


def whole_masks(rles: Sequence[RLE]) -> Crops:
    """Decode one or more masks on the whole image.

    Raises:
        RLEError: the sizes differ, or an encoding is not a mask of its stated size.
    """
    return Crops(_size(rles), 0, 0, [decode_rle(rle) for rle in rles])


def _size(rles: Sequence[RLE]) -> tuple[int, int]:
    sizes = sorted({(rle["size"][0], rle["size"][1]) for rle in rles})
    if len(sizes) != 1:
        raise RLEError(f"masks of one image have one size; these have {sizes} (height, width)")
    return sizes[0]


def _box(boundaries: np.ndarray, height: int) -> tuple[int, int, int, int]:
    """Return top, left, bottom and right of column-major runs; the last two are exclusive."""
    starts, lasts = boundaries[::2], boundaries[1::2] - 1
    left, right = int(starts[0] // height), int(lasts[-1] // height) + 1
    if (starts // height != lasts // height).any():
        return 0, left, height, right  # a run that goes on in the next column touches the last row and the first
    return int((starts % height).min()), left, int((lasts % height).max()) + 1, right


def _decode_columns(boundaries: np.ndarray, height: int, left: int, right: int) -> np.ndarray:
    """Decode some columns, which hold all runs: (height, right - left) bool."""
    total = (right - left) * height
    lengths = np.diff(np.concatenate([[0], boundaries - left * height, [total]])) if boundaries.size else [total]
    values = np.zeros(len(lengths), bool)
    values[1::2] = True
    return np.repeat(values, lengths).reshape(right - left, height).T
