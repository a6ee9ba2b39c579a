"""Read LISS4Reason: {train,val,test}/{images,labels,qa}, with questions as in EarthReason.

Its sign is the folder `qa`, spelt so; the official release has `QAs`. A release whose `QAs` was renamed to `qa` is read
as LISS4Reason too: pixels and texts are the same, only the ids and the source differ.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from earthreason.data.about import About
from earthreason.data.pictures import SoftLabels, mask_of
from earthreason.data.schema import Record, extra_keys
from earthreason.data.sources.base import FROM_DISK, IMAGE_SUFFIXES, SampleSource, SourceFormat, make_record, register
from earthreason.data.sources.release import parse_questions
from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.types import OPTIONAL_FACTS

_FOLDERS = {"images": (*IMAGE_SUFFIXES, ".tif", ".tiff"), "labels": (".png", ".tif", ".tiff"), "qa": (".json", ".txt")}
_WHAT = {"images": "image", "labels": "label", "qa": "questions"}


class LISS4Reason(SampleSource):
    """Samples of the split folders, paired by file stem."""

    name = "liss4reason"

    def __init__(self, root: Path) -> None:
        super().__init__()
        folder = _locate(root)
        if folder is None:
            expected = f"{', '.join(FROM_DISK)} with {', '.join(_FOLDERS)} inside"
            raise DataNotFoundError(f"{root} contains no LISS4Reason: expected {expected}")
        self._folders = {split: folder / name for name, split in FROM_DISK.items() if _has_folders(folder / name)}
        self._files = {split: _by_stem(split_folder) for split, split_folder in self._folders.items()}
        self.counts = {split: len(stems) for split, stems in self._files.items()}

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """List the stems of a split."""
        notes = SoftLabels()
        for stem, files in sorted(self._files[split].items()):
            yield stem, partial(self._record, split, stem, files, notes)

    def _record(self, split: str, stem: str, files: dict[str, list[Path]], notes: SoftLabels) -> Record:
        only: dict[str, Path] = {}
        for part, what in _WHAT.items():
            place = self._folders[split] / part
            if not files[part]:
                raise DataFormatError(f"{place} has no file for {stem!r}", f"no {what}")
            if len(files[part]) > 1:
                names = ", ".join(path.name for path in files[part])
                raise DataFormatError(f"{place} has several files for {stem!r} ({names}); keep one", f"several {what}")
            only[part] = files[part][0]
        mask = mask_of(only["labels"].read_bytes(), only["labels"], notes)
        content = parse_questions(only["qa"].read_bytes(), only["qa"])
        return make_record(
            f"liss4reason_{split}_{stem}",
            only["images"],
            mask,
            content["questions"],
            answers=content["answer"],
            extra=extra_keys(content, ("questions", "answer", *OPTIONAL_FACTS)),
            **{fact: content[fact] for fact in OPTIONAL_FACTS} | {"source": content["source"] or "LISS4Reason"},
        )


def _by_stem(folder: Path) -> dict[str, dict[str, list[Path]]]:
    stems: dict[str, dict[str, list[Path]]] = defaultdict(lambda: {part: [] for part in _FOLDERS})
    for part, suffixes in _FOLDERS.items():
        for path in sorted((folder / part).iterdir()):
            if path.is_file() and path.suffix.lower() in suffixes and not path.name.startswith("."):
                stems[path.stem][part].append(path)
    return stems


def _has_folders(folder: Path) -> bool:
    # Listed, because on systems that ignore case `QA` is a `qa` that exists.
    names = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
    return names.issuperset(_FOLDERS)


def _locate(root: Path) -> Path | None:
    """Return the folder at any depth that contains the split folders."""
    for path, names, _ in os.walk(root):
        names.sort()
        if any(_has_folders(Path(path) / name) for name in FROM_DISK if name in names):
            return Path(path)
    return None


register(
    SourceFormat(
        name="liss4reason",
        title="LISS4Reason: {train,val,test}/{images,labels,qa}, paired by file stem",
        matches=_locate,
        open=LISS4Reason,
        precedence=-1,  # before the official release, whose reader accepts several spellings of `QAs`
        config="liss4reason",
        about=About(
            title="LISS4Reason",
            licence="unknown",
            origin="LISS4Reason is read by a public fork of SegEarth-R2; where it was published is not known here.",
        ),
    )
)
