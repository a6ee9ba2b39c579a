"""Read the official release layout: {train,val,test}/{images,labels,QAs}, paired by file stem.

The release's own loader pairs files by their position in three sorted listings, so one missing file silently shifts
every pair after it. Here a stem that is missing in one folder is an error that names it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earthreason.data.pictures import check_sizes, mask_of, rgb_content
from earthreason.data.schema import SPLITS, Record, encode_mask_png, extra_keys
from earthreason.errors import DataFormatError, DataNotFoundError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
QA_SUFFIXES = (".json", ".txt")
FOLDERS = {"images": IMAGE_SUFFIXES, "labels": (".png",), "QAs": QA_SUFFIXES}
_KNOWN = ("questions", "answer", "category", "ground_resolution", "source", "reasoning_type")
ON_DISK = {"train": "train", "validation": "val", "test": "test"}
FROM_DISK = {name: split for split, name in ON_DISK.items()}


@dataclass(frozen=True)
class SampleFiles:
    """The three files of one sample."""

    split: str
    stem: str
    image: Path
    label: Path
    qa: Path


def find_release(root: Path) -> Path:
    """The folder below `root` that holds the split folders, however deep it is nested.

    Raises:
        DataNotFoundError: there is none.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataNotFoundError(
            f"there is no folder {root}; --data-dir (data_dir in Python) is the folder of the unzipped release"
        )
    for candidate in (root, *sorted(p for p in root.rglob("*") if p.is_dir())):
        if any(split_folder(candidate, split) for split in SPLITS):
            return candidate
    raise DataNotFoundError(
        f"{root} holds no release: expected train/, val/ or test/ with {', '.join(FOLDERS)} inside. "
        "If it holds zip archives, unzip them first"
    )


def split_folder(release: Path, split: str) -> Path | None:
    """The folder of a split; the release's archives nest some as `train/train`."""
    name = ON_DISK[split]
    for folder in (release / name, release / name / name):
        if all((folder / part).is_dir() for part in FOLDERS):
            return folder
    return None


def list_samples(release: Path) -> dict[str, list[SampleFiles]]:
    """The files of every split, paired by stem and sorted.

    Raises:
        DataFormatError: stems missing in one of the three folders, or two files of one stem; names them.
    """
    found = {}
    for split in SPLITS:
        folder = split_folder(release, split)
        if folder is not None:
            found[split] = _pair(split, folder)
    return found


def _pair(split: str, folder: Path) -> list[SampleFiles]:
    by_part: dict[str, dict[str, Path]] = {}
    for part, suffixes in FOLDERS.items():
        paths = [p for p in sorted((folder / part).iterdir()) if p.suffix.lower() in suffixes and p.name[0] != "."]
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


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(repr(name) for name in names[:5]) + rest


def fingerprint(release: Path) -> str:
    """A short hash that changes when a file of the release is added, removed, resized or rewritten."""
    digest = hashlib.sha256(str(release.resolve()).encode())
    for split, samples in list_samples(release).items():
        for sample in samples:
            for path in (sample.image, sample.label, sample.qa):
                status = path.stat()
                digest.update(f"{split}/{path.name}:{status.st_size}:{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:12]


def read_split(samples: dict[str, list[SampleFiles]], split: str) -> Iterator[Record]:
    """Records of a split of `list_samples`, read lazily.

    A sample's id is its file stem; a stem that stands in several splits is prefixed with the split's name there.
    """
    uses = Counter(sample.stem for files in samples.values() for sample in files)
    for files in samples[split]:
        sample_id = files.stem if uses[files.stem] == 1 else f"{ON_DISK[split]}-{files.stem}"
        yield read_sample(files, sample_id)


def release_records(release: Path) -> tuple[dict[str, Iterator[Record]], dict[str, int]]:
    """Records of every split, read lazily, and how many there are."""
    samples = list_samples(release)
    records = {split: read_split(samples, split) for split in samples}
    return records, {split: len(files) for split, files in samples.items()}


def read_sample(files: SampleFiles, sample_id: str) -> Record:
    """Read and check one sample.

    Raises:
        DataFormatError: a file is not readable, sizes differ, there are no questions; names the file.
    """
    mask = mask_of(files.label.read_bytes(), files.label)
    image, (height, width) = rgb_content(files.image.read_bytes(), files.image)
    check_sizes(mask, (height, width), files.label, files.image)
    qa = read_qa(files.qa)
    resolution = qa.get("ground_resolution")
    return Record(
        sample_id=sample_id,
        image=image,
        mask=encode_mask_png(mask),
        height=height,
        width=width,
        is_empty=not mask.any(),
        questions=qa["questions"],
        answers=qa["answer"],
        category=qa.get("category"),
        ground_resolution=None if resolution is None else float(resolution),
        source=qa.get("source"),
        reasoning_type=qa.get("reasoning_type"),
        extra=extra_keys(qa, _KNOWN),
    )


def read_qa(path: Path) -> dict[str, Any]:
    """The question file's object, with `questions` and `answer` checked.

    Raises:
        DataFormatError: not JSON, no questions, or a key of the wrong type.
    """
    try:
        qa = json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        remedy = f"write the file as UTF-8 (as Latin-1 it would be readable: iconv -f latin1 -t utf-8 {path.name})"
        raise DataFormatError(f"{path}: byte {error.object[error.start]:#04x} is not UTF-8; {remedy}") from None
    except (ValueError, RecursionError) as error:
        raise DataFormatError(f"{path}: not JSON ({error})") from None
    if not isinstance(qa, dict):
        raise DataFormatError(f'{path}: expected {{"questions": [...], "answer": [...]}}, got {type(qa).__name__}')
    for key in ("questions", "answer"):
        value = qa.setdefault(key, [])
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise DataFormatError(f"{path}: {key} is not a list of texts")
    if not any(question.strip() for question in qa["questions"]):
        raise DataFormatError(f"{path}: has no questions; a sample needs at least one")
    for key in ("category", "source", "reasoning_type"):
        if not isinstance(qa.get(key), str | None):
            raise DataFormatError(f"{path}: {key} is not a text")
    if not isinstance(qa.get("ground_resolution"), int | float | None):
        raise DataFormatError(f"{path}: ground_resolution is not a number of metres per pixel")
    return qa
