"""Read the official release layout: {train,val,test}/{images,labels,QAs}, paired by file stem.

The release's own loader pairs files by their position in three sorted listings, so one missing file silently shifts
every pair after it. Here a stem that is missing in one folder is an error that names it. `earthreason verify` reads the
files through `rgb_picture`, `label_picture` and `parse_questions`, as loading does.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earthreason.data.about import OFFICIAL
from earthreason.data.pictures import SoftLabels, check_sizes, mask_of, rgb_content
from earthreason.data.schema import SPLITS, Record, extra_keys
from earthreason.data.sources.base import IMAGE_SUFFIXES, ON_DISK, SourceFormat, register
from earthreason.data.texts import parse_json
from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.files import fingerprint_files
from earthreason.masks.png import encode_mask_png
from earthreason.types import NUMERIC_FACTS, OPTIONAL_FACTS

HUB_ID = "earth-insights/EarthReason"
PUBLISHED = {"train": 2371, "validation": 1135, "test": 1928}
PUBLISHED_EMPTY = 200
"""Number of samples in the official release (arXiv 2504.09644), and of those with an empty target."""
FOLDERS = {"images": IMAGE_SUFFIXES, "labels": (".png",), "QAs": (".json", ".txt")}
"""Folders of a split, and the suffixes of their files."""
SYSTEM_FILES = ("thumbs.db", "desktop.ini")
_KNOWN = ("questions", "answer", *OPTIONAL_FACTS)


@dataclass(frozen=True)
class SampleFiles:
    """Files of one sample."""

    split: str
    stem: str
    image: Path
    label: Path
    qa: Path


def find_release(root: Path) -> Path:
    """Find the folder that contains the split folders: `root` or a folder at any depth below it.

    Raises:
        DataNotFoundError: there is no release.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataNotFoundError(
            f"there is no folder {root}; --data-dir (data_dir in Python) is the folder of the unzipped release"
        )
    release = locate_release(root)
    if release is None:
        raise DataNotFoundError(
            f"{root} contains no release: expected train/, val/ or test/ with {', '.join(FOLDERS)} inside. "
            "If it contains zip archives, unzip them first"
        )
    return release


def locate_release(root: Path) -> Path | None:
    """Return what `find_release` finds, or None if there is no release."""
    return next((folder for folder in _folders(root) if any(split_folder(folder, split) for split in SPLITS)), None)


def _folders(root: Path) -> Iterator[Path]:
    for path, names, _ in os.walk(root):
        names.sort()
        folder = Path(path)
        yield folder
        yield from (folder / name for name in names if (folder / name).is_symlink())  # `walk` does not enter them


def split_folder(release: Path, split: str) -> Path | None:
    """Return the folder of a split, or None; the release's archives nest some as `train/train`."""
    name = ON_DISK[split]
    for folder in (release / name, release / name / name):
        if all((folder / part).is_dir() for part in FOLDERS):
            return folder
    return None


def list_samples(release: Path) -> dict[str, list[SampleFiles]]:
    """List the files of every split, paired by stem and sorted.

    Raises:
        DataFormatError: a stem is missing in one of the three folders or occurs twice in one; names the stems.
    """
    folders = {split: split_folder(release, split) for split in SPLITS}
    return {split: _pair(split, folder) for split, folder in folders.items() if folder is not None}


def _pair(split: str, folder: Path) -> list[SampleFiles]:
    by_part: dict[str, dict[str, Path]] = {}
    for part in FOLDERS:
        paths = [path for path in list_files(folder / part) if belongs(path, part)]
        twice = [stem for stem, count in Counter(p.stem for p in paths).items() if count > 1]
        if twice:
            raise DataFormatError(f"{folder / part}: several files for {_listed(twice)}; keep one of each")
        by_part[part] = {p.stem: p for p in paths}
    everything = sorted(set().union(*by_part.values()))
    lacking = {part: [stem for stem in everything if stem not in by_part[part]] for part in FOLDERS}
    faults = [f"{folder / part} lacks {_listed(stems)}" for part, stems in lacking.items() if stems]
    if faults:
        raise DataFormatError(f"files do not pair by stem: {'; '.join(faults)}. Restore or remove them")
    return [
        SampleFiles(split, stem, by_part["images"][stem], by_part["labels"][stem], by_part["QAs"][stem])
        for stem in everything
    ]


def list_files(folder: Path) -> list[Path]:
    """List the files of a folder in order, without hidden files and files that operating systems leave behind."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".") and path.name.lower() not in SYSTEM_FILES
    ]


def belongs(path: Path, part: str) -> bool:
    """Return whether a file has a suffix of its folder; other files, such as notes, are ignored."""
    return path.suffix.lower() in FOLDERS[part]


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(repr(name) for name in names[:5]) + rest


def read_sample(files: SampleFiles, sample_id: str, notes: SoftLabels | None = None) -> Record:
    """Read and check one sample; `notes` is that of `label_picture`.

    Raises:
        DataFormatError: a file is unreadable, the sizes differ, or there are no questions; names the file.
    """
    mask = mask_of(files.label.read_bytes(), files.label, notes)
    image, (height, width) = rgb_content(files.image.read_bytes(), files.image, mask.shape)
    check_sizes(mask, (height, width), files.label, files.image)
    qa = parse_questions(files.qa.read_bytes(), files.qa)
    return Record(
        sample_id=sample_id,
        image=image,
        mask=encode_mask_png(mask),
        height=height,
        width=width,
        is_empty=not mask.any(),
        questions=qa["questions"],
        answers=qa["answer"],
        extra=extra_keys(qa, _KNOWN),
        **{fact: qa[fact] for fact in OPTIONAL_FACTS},
    )


def parse_questions(content: bytes, path: Path) -> dict[str, Any]:
    """Read a question file as a dict with `questions`, `answer` and all optional facts, None where unknown.

    Raises:
        DataFormatError: the file is not JSON, has no questions, or a key has the wrong type; names the file.
    """
    qa = parse_json(content, path)
    if not isinstance(qa, dict):
        raise DataFormatError(f'{path}: expected {{"questions": [...], "answer": [...]}}, got {type(qa).__name__}')
    for key in ("questions", "answer"):
        value = qa.setdefault(key, [])
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise DataFormatError(f"{path}: {key} is not a list of texts")
    if not any(question.strip() for question in qa["questions"]):
        raise DataFormatError(f"{path}: has no questions; a sample needs at least one")
    for fact, meaning in OPTIONAL_FACTS.items():
        value = qa.setdefault(fact, None)
        if value is None:
            continue
        if fact not in NUMERIC_FACTS:
            if not isinstance(value, str):
                raise DataFormatError(f"{path}: {fact} is not a text")
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise DataFormatError(f"{path}: {fact} is not a number ({meaning})")
        elif abs(value) > sys.float_info.max:
            raise DataFormatError(f"{path}: {fact} is too large a number ({meaning})")
        else:
            qa[fact] = float(value)
    return qa


class Release:
    """Samples of the official layout, at any depth below a folder."""

    name = "release"

    def __init__(self, root: Path) -> None:
        self._folder = find_release(root)
        self._samples = list_samples(self._folder)
        self._uses = Counter(sample.stem for files in self._samples.values() for sample in files)
        self.counts = {split: len(files) for split, files in self._samples.items()}

    def read(self, split: str) -> Iterator[Record]:
        """Read the records of a split.

        The id of a sample is its file stem; a stem that occurs in several splits is prefixed with the split's folder.
        """
        notes = SoftLabels()
        for files in self._samples[split]:
            sample_id = files.stem if self._uses[files.stem] == 1 else f"{ON_DISK[split]}-{files.stem}"
            yield read_sample(files, sample_id, notes)

    def fingerprint(self) -> str:
        """Hash names, sizes and times of the files; see `fingerprint_files`."""
        samples = (sample for files in self._samples.values() for sample in files)
        paths = (path for sample in samples for path in (sample.image, sample.label, sample.qa))
        return fingerprint_files(self._folder, paths)


register(
    SourceFormat(
        name="release",
        title="{train,val,test}/{images,labels,QAs}, paired by file stem",
        matches=locate_release,
        open=Release,
        precedence=0,
        about=OFFICIAL,
        paper="https://arxiv.org/abs/2504.09644",
        how_to_get=f"https://huggingface.co/datasets/{HUB_ID}",
        splits=PUBLISHED,
    )
)
