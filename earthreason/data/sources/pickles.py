"""Read untrusted pickles: nothing is imported or run except names that the caller allows."""

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
            raise pickle.UnpicklingError(f"it imports {module}.{name}")
        # numpy 2 moved its internals; old files still name the old module.
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load_pickle(path: Path, allowed: Container[tuple[str, str]] = ()) -> Any:
    """Load a pickle of lists, dicts, texts and numbers.

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
