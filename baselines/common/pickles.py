"""Old detectron2 checkpoints: pickles of numpy arrays, read without letting them run code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.errors import EarthReasonError

_ALLOWED = {
    ("collections", "OrderedDict"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint `{"model": {name: array}}` or `{name: array}`.

    Raises:
        EarthReasonError: it is no such pickle, or holds anything but arrays in plain containers.
    """
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, ValueError, TypeError) as error:
        raise EarthReasonError(f"{path}: not a checkpoint of numpy arrays: {error}; nothing in it was run") from None
    content = content.get("model", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, np.ndarray) for value in content.values()):
        raise EarthReasonError(f"{path}: holds no table of arrays")
    return {str(name): value for name, value in content.items()}
