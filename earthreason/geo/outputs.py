"""Check where answers are to be written, before anything is computed."""

from __future__ import annotations

import os
from pathlib import Path

from earthreason.errors import DataNotFoundError, EarthReasonError, UnknownNameError
from earthreason.files import refuse_folder
from earthreason.geo.grid import GeoGrid
from earthreason.geo.writing_rasters import RASTER_SUFFIXES, refuse_png
from earthreason.geo.writing_vectors import VECTOR_SUFFIXES, refuse_unplaced, vector_suffix


def check_output(path: Path, grid: GeoGrid, questions: int = 1) -> None:
    """Check that the answers about a scene can be written to a file.

    Args:
        path: the suffix decides on the format, see `VECTOR_SUFFIXES` and `RASTER_SUFFIXES`.
        grid: grid of the scene.
        questions: number of questions.

    Raises:
        UnknownNameError: the suffix is unknown; the message names the nearest.
        DataNotFoundError: the folder is missing.
        EarthReasonError: the path or its folder cannot be written to, or the format cannot hold the answers.
    """
    if vector_suffix(path) is None and path.suffix.lower() not in RASTER_SUFFIXES:
        raise UnknownNameError(
            "suffix of an output", path.suffix.lower(), (*VECTOR_SUFFIXES, *RASTER_SUFFIXES), f"Rename {path}"
        )
    refuse_folder(path)
    folder = path.parent
    if not folder.exists():
        raise DataNotFoundError(f"{folder}: no such folder, so {path.name} cannot be written there; create it first")
    if not folder.is_dir():
        raise EarthReasonError(f"{folder} is a file, so {path.name} cannot be written there; choose another folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise EarthReasonError(f"{folder}: you may not write there; choose another folder")
    if vector_suffix(path) is not None:
        refuse_unplaced(path, grid.crs if grid.transform is not None else None)
    elif path.suffix.lower() == ".png":
        refuse_png(path, grid, questions)
