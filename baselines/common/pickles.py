"""Old detectron2 checkpoints: pickles of numpy arrays, read without letting them run code."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from earthreason.data.sources.pickles import load_pickle
from earthreason.errors import DataFormatError

_ARRAYS = frozenset(
    {
        ("collections", "OrderedDict"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("_codecs", "encode"),
    }
)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint `{"model": {name: array}}` or `{name: array}`.

    Raises:
        DataFormatError: it is no such pickle, or holds anything but arrays in plain containers.
    """
    content = load_pickle(path, _ARRAYS)
    content = content.get("model", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, np.ndarray) for value in content.values()):
        raise DataFormatError(f"{path}: holds no table of arrays")
    return {str(name): value for name, value in content.items()}
