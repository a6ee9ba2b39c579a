"""Read label pictures: one mask a file, named after its task."""

from __future__ import annotations

from collections.abc import Iterator

from annotation_tools.formats.base import AnnotatedImage, Mark, Patch
from annotation_tools.formats.source import Format, Source
from earthreason.data.pictures import SoftLabels, mask_of


def _read(source: Source) -> Iterator[AnnotatedImage]:
    # PNGs next to annotation files are their pictures; `registry.py` does not come here then.
    files = source.files(".png") if source.path.is_dir() else [source.path]
    notes = SoftLabels()
    for path in files:
        mask = mask_of(path.read_bytes(), path, notes)
        marks = (Mark(None, Patch(mask).drawn, str(path)),) if mask.any() else ()
        yield AnnotatedImage(
            (path.name,), marks, str(path), (mask.shape[0], mask.shape[1]), says_empty=not marks, task=path.stem
        )


def _claims(source: Source) -> bool:
    return source.suffix == ".png" or (source.path.is_dir() and bool(source.files(".png")))


FORMAT = Format("PNG masks", _claims, _read)
