"""Forms that samples are stored in: one file a format, each a declaration and one call of `register`.

Importing this package imports every module beside this file, so a new format is a new file and nothing else.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

from earthreason.data.sources.base import FORMATS, Source, SourceFormat
from earthreason.errors import DataNotFoundError

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)

__all__ = ["FORMATS", "Source", "SourceFormat", "find_format", "open_folder_or_file"]


def find_format(path: Path) -> SourceFormat | None:
    """Find the format of a folder, or of a file by its ending; None where it is none of them."""
    if path.is_file():
        return next((f for f in FORMATS.values() if path.suffix.lower() in f.suffixes), None)
    in_order = sorted(FORMATS.values(), key=lambda f: f.precedence)
    return next((f for f in in_order if f.matches(path)), None)


def open_folder_or_file(path: Path) -> Source:
    """Open samples by what lies at a path.

    Raises:
        DataNotFoundError: there is nothing, or nothing in a known form.
        DataFormatError: it is broken; names the place.
    """
    if not path.exists():
        raise DataNotFoundError(f"there is no folder or file {path}")
    source_format = find_format(path)
    if source_format is not None:
        return source_format.open(path)
    if path.is_file():
        endings = ", ".join(sorted(suffix for f in FORMATS.values() for suffix in f.suffixes))
        raise DataNotFoundError(f"{path}: no known data; known files end with {endings}")
    known = "; ".join(f"{f.name}: {f.title}" for f in FORMATS.values())
    raise DataNotFoundError(
        f"{path} holds no samples in a known form ({known}). If it holds zip archives, unzip them first"
    )
