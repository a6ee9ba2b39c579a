"""Read pickles from strangers: nothing is imported or run except what is named beforehand."""

from __future__ import annotations

import pickle
from collections.abc import Container
from pathlib import Path
from typing import Any

from earthreason.errors import DataFormatError


class _Restricted(pickle.Unpickler):
    allowed: Container[tuple[str, str]] = ()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        # numpy moved its internals in version 2; old files still name the old place.
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load_pickle(path: Path, allowed: Container[tuple[str, str]] = ()) -> Any:
    """The content of a pickle of lists, dicts, texts and numbers.

    Args:
        path: the file.
        allowed: (module, name) of what may be looked up besides.

    Raises:
        DataFormatError: it is no pickle, or asks for anything else; nothing in it was run.
    """
    try:
        with path.open("rb") as file:
            reader = _Restricted(file, encoding="latin1")
            reader.allowed = allowed
            return reader.load()
    except (
        pickle.UnpicklingError,
        EOFError,
        AttributeError,
        ImportError,
        IndexError,
        KeyError,
        ValueError,
        TypeError,
        UnicodeError,
        MemoryError,
        OverflowError,
    ) as error:
        raise DataFormatError(f"{path}: not a pickle of plain data: {error}; nothing in it was run") from None
