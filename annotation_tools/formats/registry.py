"""The formats of annotations, and the reading of files and folders in any of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from annotation_tools.formats import (
    coco,
    coco_panoptic,
    coco_results,
    cvat,
    labelme,
    labelme_web,
    labelstudio_export,
    pictures,
    vectors,
)
from annotation_tools.formats.assembly import Reading, assemble
from annotation_tools.formats.base import AS_STATED, AnnotatedImage, ReadOptions
from annotation_tools.formats.source import Format, Source
from annotation_tools.formats.values import understood
from annotation_tools.workspace import AnnotationTask
from earthreason.errors import DataFormatError, DataNotFoundError

FOLDERS: tuple[Format, ...] = ()
"""Formats that are a folder with a fixed layout, asked before its files are read one by one."""
FILES: tuple[Format, ...] = (
    cvat.FORMAT,
    labelme_web.FORMAT,
    vectors.FORMAT,
    labelme.FORMAT,
    coco_panoptic.FORMAT,
    coco.FORMAT,
    coco_results.FORMAT,
    labelstudio_export.FORMAT,
)
"""Formats of single files. The first that claims a file reads it."""
PICTURES = pictures.FORMAT
"""Label pictures, read only where nothing else is: PNGs next to annotation files are their pictures."""
_SUFFIXES = (".json", ".xml", *vectors.SUFFIXES)


def read_masks(path: Path, tasks: Mapping[str, AnnotationTask], options: ReadOptions = AS_STATED) -> Reading:
    """Read the drawings in an annotation file, a folder of them, or a folder of label pictures.

    Args:
        path: file or folder.
        tasks: tasks of the workspace by ID.
        options: reading options.

    Raises:
        DataNotFoundError: the file does not exist.
        DataFormatError: the format is unknown, or the file is invalid.
        DrawingError: marks cannot be imported; the message names them.
    """
    if not path.exists():
        raise DataNotFoundError(f"there is no file or folder {path}")
    reading = _read_all(Source(path, str(path), options, tasks))
    if options.category is not None and reading.labels and options.category not in reading.labels:
        known = ", ".join(repr(name) for name in sorted(reading.labels) if name) or "none has a label"
        raise DataFormatError(f"{path}: no shape has the label {options.category!r}; labels: {known}")
    return reading


def _read_all(source: Source) -> Reading:
    return assemble(_entries(source), source.tasks, source.options, source.shown)


def _entries(source: Source) -> Iterator[AnnotatedImage]:
    """Yield what a file says, or all files of a folder together, whose images may share names but not paths."""
    if not source.path.is_dir():
        yield from _read(source, (*FILES, PICTURES))
    elif any(form.claims(source) for form in FOLDERS):
        yield from _read(source, FOLDERS)
    elif files := source.files(*_SUFFIXES):
        for file in files:
            yield from _read(replace(source, path=file, shown=str(file)), FILES)
    else:
        yield from _read(source, (PICTURES,))


def _read(source: Source, forms: tuple[Format, ...]) -> Iterator[AnnotatedImage]:
    with understood(source.shown, "a file of annotations"):
        form = next((form for form in forms if form.claims(source)), None)
    if form is None:
        known = ", ".join(form.name for form in forms)
        raise DataFormatError(f"{source.shown}: in none of the known formats ({known})")
    with understood(source.shown, f"in the format {form.name}"):
        yield from form.read(source)
