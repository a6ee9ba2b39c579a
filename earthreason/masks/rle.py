"""COCO run-length encodings of binary masks, encoded by pycocotools and decoded only after validation.

pycocotools hangs or crashes on encodings that are not masks of their stated size, so untrusted encodings must pass
`validate_rle` first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco

from earthreason.errors import RLEError
from earthreason.masks import kernel
from earthreason.masks.grids import Grid, bilinear_indices, grid_weights
from earthreason.types import RLE

MAX_SIDE = 100_000
"""Longest accepted side of a mask in pixels, over ten times that of the largest image of the benchmark (7,617)."""


def encode_mask(mask: np.ndarray) -> RLE:
    """Encode a (height, width) mask; any non-zero element is foreground. Floats must be 0 or 1, not logits.

    >>> encode_mask(np.array([[0, 1], [0, 1]]))
    {'size': [2, 2], 'counts': '22'}

    Raises:
        RLEError: the array is not two-dimensional, has no pixels, or holds other floats than 0 and 1.
    """
    array = np.asarray(mask)
    if array.ndim != 2 or array.size == 0:
        raise RLEError(f"a mask has shape (height, width); this array has shape {array.shape}")
    if array.dtype.kind == "f" and not ((array == 0) | (array == 1)).all():
        raise RLEError(
            "a float mask may contain only 0 and 1, but this one has other values, such as logits or probabilities; "
            "threshold it first: `mask > 0` for logits, `mask > 0.5` for probabilities"
        )
    encoded = coco.encode(np.asfortranarray(array != 0, dtype=np.uint8))
    return RLE(size=[int(side) for side in encoded["size"]], counts=encoded["counts"].decode("ascii"))


def empty_rle(height: int, width: int) -> RLE:
    """Encode a (height, width) mask without foreground."""
    return encode_mask(np.zeros((height, width), np.uint8))


def decode_rle(rle: RLE) -> np.ndarray:
    """Decode to a (height, width) bool mask.

    Raises:
        RLEError: the encoding is not a mask of its stated size.
    """
    validate_rle(rle)
    decoded = coco.decode({"size": list(rle["size"]), "counts": rle["counts"].encode("ascii")})
    return np.asarray(decoded).astype(bool)


def validate_rle(rle: RLE) -> None:
    """Validate size and counts, with memory independent of the stated size.

    Raises:
        RLEError: the encoding is not a mask of its stated size.
    """
    size = rle["size"]
    if len(size) != 2 or not all(isinstance(side, int) and 1 <= side <= MAX_SIDE for side in size):
        raise RLEError(f"an RLE size is [height, width] with sides from 1 to {MAX_SIDE}, not {size}")
    kernel.foreground_boundaries(rle)


def union_rles(rles: Sequence[RLE]) -> RLE:
    """Return the union of one or more masks of one size, without decoding a pixel.

    Raises:
        RLEError: there is no mask, the sizes differ, or an encoding is not a mask of its stated size.
    """
    if not rles:
        raise RLEError("a union needs at least one mask")
    for rle in rles:
        validate_rle(rle)
        if rle["size"] != rles[0]["size"]:
            first, other = ("x".join(map(str, size)) for size in (rles[0]["size"], rle["size"]))
            raise RLEError(f"the masks of a union have one size; one is {first} and another {other} (height x width)")
    merged = coco.merge([{"size": list(rle["size"]), "counts": rle["counts"].encode("ascii")} for rle in rles])
    return RLE(size=[int(side) for side in merged["size"]], counts=merged["counts"].decode("ascii"))


def rle_area(rle: RLE) -> int:
    """Return the number of foreground pixels.

    Raises:
        RLEError: the encoding is not a mask of its stated size.
    """
    return kernel.area(kernel.foreground_boundaries(rle))


def resample_rle(rle: RLE, grid: Grid) -> RLE:
    """Place a mask on a grid, padding included, without decoding a pixel.

    Raises:
        RLEError: the encoding is not a mask of its stated size.
    """
    height, width = rle["size"]
    rows, columns = grid_weights(grid, height, width)
    return _repeat(rle, rows, columns, grid.padding(height, width), grid.shape(height, width))


def stretch_rle(rle: RLE, side: int) -> RLE:
    """Stretch a mask to (side, side) as `stretch_bilinear`, without decoding a pixel.

    Raises:
        RLEError: the encoding is not a mask of its stated size.
    """
    # A value is above 0 if one of the two rows and one of the two columns around it is foreground: the union of the
    # four nearest-neighbour resizes that take one row and one column each.
    rows, columns = (
        [np.bincount(indices, minlength=source) for indices in bilinear_indices(source, side)] for source in rle["size"]
    )
    return union_rles([_repeat(rle, down, across, (0, 0), (side, side)) for down in rows for across in columns])


def _repeat(rle: RLE, rows: np.ndarray, columns: np.ndarray, padding: tuple[int, int], shape: tuple[int, int]) -> RLE:
    """Repeat every row and column of a mask as often as its weight, and place it below and right of the padding."""
    height = rle["size"][0]
    boundaries = kernel.foreground_boundaries(rle)
    runs = kernel.canvas_runs(boundaries, height, kernel.prefix_sums(rows), columns, padding, shape[0])
    total = shape[0] * shape[1]
    rest = [] if runs.size and runs[-1] == total else [total]
    ends = np.concatenate([[0], runs, rest]).astype(np.int64)
    encoded = coco.frPyObjects({"size": list(shape), "counts": np.diff(ends).tolist()}, *shape)
    return RLE(size=[int(side) for side in encoded["size"]], counts=encoded["counts"].decode("ascii"))
