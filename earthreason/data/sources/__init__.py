"""Formats that samples are stored in: one file per format, with a declaration and one call of `register`.

Importing this package imports every module beside this file, so a new format is a new file and nothing else.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

from earthreason.data.locate import locate_layout
from earthreason.data.omissions import Tolerance
from earthreason.data.sources.base import FORMATS, SampleSource, Source, SourceFormat
from earthreason.errors import DataNotFoundError

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)

__all__ = ["FORMATS", "Source", "SourceFormat", "find_format", "open_folder_or_file"]


def find_format(path: Path) -> tuple[SourceFormat, Path] | None:
    """Find the format of a folder, or of a file by its suffix.

    Archives are looked into only if no format matches what is unpacked.

    Returns:
        The format and the path to open, which may be a folder below `path`, or one in the cache if the release is in
        archives; None if no format matches.

    Raises:
        DataFormatError: the folder contains several releases or a broken archive; names them.
    """
    if path.is_file() and (layout := locate_layout(path, packed=False)) is not None:  # a tar file may hold a release
        return FORMATS["release"], layout.folder
    for source_format in sorted(FORMATS.values(), key=lambda f: f.precedence):
        matched = path.suffix.lower() in source_format.suffixes if path.is_file() else source_format.matches(path)
        if matched:
            return source_format, matched if isinstance(matched, Path) else path
    packed = locate_layout(path, packed=True)
    return None if packed is None else (FORMATS["release"], packed.folder)


def open_folder_or_file(path: Path, tolerance: Tolerance | None = None) -> Source:
    """Open the samples in a folder or file.

    Args:
        path: folder or file.
        tolerance: how many samples may be left out because they are broken; 2 % of a split by default.

    Raises:
        DataNotFoundError: the path is absent or has no known format.
        DataFormatError: the content is broken; names the file.
    """
    if not path.exists():
        raise DataNotFoundError(f"there is no folder or file {path}")
    matched = find_format(path)
    if matched is not None:
        source_format, place = matched
        source = source_format.open(place)
        if isinstance(source, SampleSource):
            source.place = place
            source.tolerance = tolerance or source.tolerance
        return source
    if path.is_file():
        endings = ", ".join(sorted(suffix for f in FORMATS.values() for suffix in f.suffixes))
        raise DataNotFoundError(f"{path}: no known data; known files end with {endings}")
    known = "; ".join(f"{f.name}: {f.title}" for f in FORMATS.values())
    raise DataNotFoundError(
        f"{path} contains no samples in a known format ({known}). If it contains archives, unpack them first"
    )
