"""Read untrusted pickles: nothing is imported or run except names that the caller allows.

Numbers and texts of numpy, which some tools leave in their pickles, become plain ones without numpy's own unpickling.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError

_PLAIN_TYPE = re.compile("b1|[iu][1248]|f[248]|[SU][0-9]{1,6}")
_UTF_32 = {"<": "utf-32-le", "=": "utf-32-le", ">": "utf-32-be"}


class _Type:
    """Stands for `numpy.dtype` of a bool, number or text."""

    __slots__ = ("code", "order")

    def __init__(self, code: str, *_flags: object) -> None:
        if not isinstance(code, str) or not _PLAIN_TYPE.fullmatch(code):
            raise pickle.UnpicklingError(f"it has a value of numpy's type {str(code)[:20]!r}")
        self.code, self.order = code, "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError("it has a value of numpy with an unknown byte order")
        self.order = state[1]


class _Scalar:
    """Stands for numpy's function `scalar`; without attributes, so that no pickle can change it."""

    __slots__ = ()

    def __call__(self, kind: _Type, data: bytes | str) -> bool | int | float | str:
        content = data.encode("latin1") if isinstance(data, str) else data
        if kind.code.startswith("U"):
            return content.decode(_UTF_32[kind.order]).rstrip("\0")
        if kind.code.startswith("S"):
            return content.decode("latin1").rstrip("\0")
        value: bool | int | float = np.frombuffer(content, kind.order + kind.code).reshape(1)[0].item()
        return value


class _Encode:
    """Stands for `_codecs.encode`, by which old protocols write bytes."""

    __slots__ = ()

    def __call__(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"it has bytes in the encoding {str(encoding)[:20]!r}")
        return text.encode("latin1")


_PLAIN: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Type,
    ("numpy.core.multiarray", "scalar"): _Scalar(),
    ("numpy._core.multiarray", "scalar"): _Scalar(),
    ("_codecs", "encode"): _Encode(),
}


class _Restricted(pickle.Unpickler):
    allowed: Container[tuple[str, str]] = ()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self.allowed:
            # numpy 2 moved its internals; old files still name the old module.
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        if (module, name) in _PLAIN:
            return _PLAIN[module, name]
        raise pickle.UnpicklingError(f"it imports {module}.{name}")


def load_pickle(path: Path, allowed: Container[tuple[str, str]] = ()) -> Any:
    """Load a pickle of lists, dicts, texts and numbers; numbers and texts of numpy become those of Python.

    Args:
        path: path of the pickle.
        allowed: (module, name) of further objects that the pickle may import.

    Raises:
        DataFormatError: the file is not a pickle, or imports anything else; nothing in it was run.
    """
    with path.open("rb") as file:
        reader = _Restricted(file, encoding="latin1")
        reader.allowed = allowed
        try:
            return reader.load()
        except Exception as error:  # a broken pickle can raise any exception; see the documentation of `pickle`
            raise DataFormatError(f"{path}: not a pickle of plain data: {error}; nothing in it was run") from None
