"""The formats of annotations, and the reading of files, folders and archives in any of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from earthreason.errors import DataFormatError, DataNotFoundError

from ..workspace import AnnotationTask
from . import (
    archives,
    classmaps,
    coco,
    coco_panoptic,
    coco_results,
    cvat,
    labelme,
    labelstudio_export,
    pictures,
    vectors,
    via,
    voc,
    yolo,
)
from .assembly import Reading, assemble
from .base import AS_STATED, AnnotatedImage, ReadOptions
from .companions import is_companion
from .source import Format, Source
from .values import understood

FOLDERS: tuple[Format, ...] = (yolo.FORMAT, classmaps.VOC, classmaps.ROBOFLOW_MASKS)
"""Formats that are a folder with a fixed layout. Each reads its parts of a folder; the rest is read file by file."""
FILES: tuple[Format, ...] = (
    cvat.FORMAT,
    voc.FORMAT,
    vectors.FORMAT,
    labelme.FORMAT,
    coco_panoptic.FORMAT,
    coco.FORMAT,
    coco_results.FORMAT,
    via.FORMAT,
    labelstudio_export.FORMAT,
)
"""Formats of single files. The first that claims a file reads it."""
PICTURES = pictures.FORMAT
"""Label pictures, read only where nothing else is: PNGs next to annotation files are their pictures."""
_SINGLE = (yolo.FORMAT,)
"""Formats of folders that can also be named by one of their files."""
_SUFFIXES = (".json", ".xml", ".csv", *vectors.SUFFIXES)
"""Suffixes of files that hold annotations."""
_NAMED = 3
"""Number of files that a message names."""


def read_masks(path: Path, tasks: Mapping[str, AnnotationTask], options: ReadOptions = AS_STATED) -> Reading:
    """Read the drawings in an annotation file, a folder of them, a folder of label pictures, or a ZIP archive of these.

    Args:
        path: file or folder.
        tasks: tasks of the workspace by ID.
        options: reading options.

    Raises:
        DataNotFoundError: the file does not exist.
        DataFormatError: the format of a file is unknown, or a file is invalid.
        DrawingError: marks cannot be imported; the message names them.
    """
    if not path.exists():
        raise DataNotFoundError(f"there is no file or folder {path}")
    with ExitStack() as stack:
        source = _opened(Source(path, str(path), options, tasks), stack)
        reading = _read_folder(source, stack) if source.path.is_dir() else _read(source, (*FILES, *_SINGLE, PICTURES))
    if options.category is not None and reading.labels and options.category not in reading.labels:
        known = ", ".join(repr(name) for name in sorted(reading.labels) if name) or "none has a label"
        raise DataFormatError(f"{path}: no shape has the label {options.category!r}; labels: {known}")
    return reading


def _opened(source: Source, stack: ExitStack) -> Source:
    """Return the unpacked folder of an archive, and other sources as they are."""
    if source.suffix != archives.SUFFIX:
        return source
    return replace(source, path=stack.enter_context(archives.unpacked(source.path, source.shown)))


def _read(source: Source, forms: Sequence[Format]) -> Reading:
    form = _claimant(source, forms)
    if form is None:
        raise _unknown([source.shown])
    return assemble(_said(source, form), source.tasks, source.options, source.shown)


def _claimant(source: Source, forms: Sequence[Format]) -> Format | None:
    with understood(source.shown, "a file of annotations"):
        return next((form for form in forms if form.claims(source)), None)


def _said(source: Source, form: Format) -> Iterator[AnnotatedImage]:
    with understood(source.shown, f"in the format {form.name}"):
        yield from form.read(source)


def _unknown(shown: Sequence[str]) -> DataFormatError:
    known = ", ".join(form.name for form in (*FILES, *FOLDERS, PICTURES))
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    return DataFormatError(f"{', '.join(shown[:_NAMED])}{more}: in none of the known formats ({known})")


@dataclass
class _Contents:
    """What was found in a folder.

    Attributes:
        known: number of files and folders in known formats.
        unknown: names of files that should hold annotations, but are in no known format.
        rest: names of other files, which are neither pictures nor describe the export.
    """

    known: int = 0
    unknown: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)


def _read_folder(folder: Source, stack: ExitStack) -> Reading:
    """Read everything in a folder that holds annotations, as one: an image may be in only one of its files."""
    contents = _Contents()
    reading = assemble(_entries(folder, stack, contents), folder.tasks, folder.options, folder.shown)
    if not contents.known:
        if not PICTURES.claims(folder):
            raise _unknown([folder.shown])
        reading = _read(folder, (PICTURES,))
    if contents.rest:
        named = ", ".join(contents.rest[:_NAMED]) + (", ..." if len(contents.rest) > _NAMED else "")
        reading.skipped[f"files in no known format ({named})"] = len(contents.rest)
    return reading


def _entries(folder: Source, stack: ExitStack, contents: _Contents) -> Iterator[AnnotatedImage]:
    """Yield what all files of a folder say, and note the files.

    Raises:
        DataFormatError: files that should hold annotations are in none of the known formats.
    """
    taken: set[Path] = set()
    for form in FOLDERS:
        if form.claims(folder):
            contents.known += 1
            taken.update(form.parts(folder) if form.parts else folder.tree)
            yield from _said(folder, form)
    for path in folder.tree:
        source = folder.within(path)
        if path in taken:
            continue
        if source.suffix == archives.SUFFIX:
            yield from _entries(_opened(source, stack), stack, contents)
        elif (of_file := _form_of(source)) is not None:
            contents.known += 1
            yield from _said(source, of_file)
        elif not is_companion(path):
            (contents.unknown if source.suffix in _SUFFIXES else contents.rest).append(source.shown)
    if contents.unknown:
        raise _unknown(contents.unknown)


def _form_of(source: Source) -> Format | None:
    if source.suffix not in _SUFFIXES:
        return None
    return _claimant(source, FILES)
