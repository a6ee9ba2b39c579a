"""Read the official release: images, labels and QAs of train, val and test, paired by file stem.

The release's own loader pairs files by their position in three sorted listings, so one missing file silently shifts
every pair after it. Here a stem that is missing in one folder is left out by name. `earthreason verify` reads the files
through `rgb_picture`, `label_picture` and `parse_questions`, as loading does.

The id of a sample is the name of its split's folder and its stem, `test-0001`, whatever else is on disk. A question
file that states a `sample_id`, as those of `earthreason export` do, keeps that. Predictions may be named by the stem
alone, because they are scored against one split; see `References.find`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from earthreason.data.about import OFFICIAL
from earthreason.data.layout import FOLDERS, Layout, Part
from earthreason.data.locate import find_layout, locate_layout
from earthreason.data.omissions import Omissions
from earthreason.data.pairing import group_by_stem
from earthreason.data.pictures import SoftLabels, check_sizes, mask_of, rgb_content
from earthreason.data.schema import Record, extra_keys
from earthreason.data.sources.base import ON_DISK, SampleSource, SourceFormat, register
from earthreason.data.texts import parse_json
from earthreason.errors import DataFormatError
from earthreason.files import fingerprint_files
from earthreason.masks.png import encode_mask_png
from earthreason.types import NUMERIC_FACTS, OPTIONAL_FACTS

HUB_ID = "earth-insights/EarthReason"
PUBLISHED = {"train": 2371, "validation": 1135, "test": 1928}
PUBLISHED_EMPTY = 200
"""Number of samples in the official release (arXiv 2504.09644), and of those with an empty target."""
SAMPLE_ID = "sample_id"
"""Key of a question file that states the id of its sample; `export` writes it."""
_KNOWN = ("questions", "answer", SAMPLE_ID, *OPTIONAL_FACTS)

_NONE = {"images": "no image", "labels": "no label", "QAs": "no questions"}
_SEVERAL = {"images": "several images", "labels": "several labels", "QAs": "several question files"}


@dataclass(frozen=True)
class SampleFiles:
    """Files of one sample."""

    split: str
    stem: str
    image: Path
    label: Path
    qa: Path


def find_release(root: Path) -> Path:
    """Find the folder that contains the split folders: `root`, a folder at any depth below it, or one in the cache.

    It is in the cache if the release is in archives, which are unpacked there. It is `root` if the splits have no
    closer folder in common.

    Raises:
        DataNotFoundError: there is no release.
        DataFormatError: there are several, or an archive is broken.
    """
    return find_layout(root).folder


def locate_release(root: Path) -> Path | None:
    """Return what `find_release` finds, or None if no split is unpacked."""
    layout = locate_layout(root, packed=False)
    return None if layout is None else layout.folder


def pair_files(layout: Layout, omissions: Omissions) -> dict[str, list[SampleFiles]]:
    """List the files of every split of a layout, paired by stem and sorted.

    A stem that is missing in one of the three folders, or occurs twice in one, is added to `omissions`.
    """
    return {split: list(_pair(split, parts, omissions)) for split, parts in layout.splits.items()}


def _pair(split: str, parts: Mapping[str, Part], omissions: Omissions) -> Iterator[SampleFiles]:
    for stem, files in sorted(group_by_stem(parts).items()):
        try:
            image, label, qa = (_only(files.get(part, []), parts, part, stem) for part in FOLDERS)
        except DataFormatError as error:
            omissions.add(split, stem, error)
        else:
            yield SampleFiles(split, stem, image, label, qa)


def _only(paths: list[Path], parts: Mapping[str, Part], part: str, stem: str) -> Path:
    if part not in parts:
        others = " and ".join(str(other.folder) for other in parts.values())
        raise DataFormatError(f"there is no folder of {part} for {others}; restore it", _NONE[part])
    folder = parts[part].folder
    if not paths:
        raise DataFormatError(f"{folder} has no file for {stem!r}; restore or remove the sample", _NONE[part])
    if len(paths) > 1:
        names = ", ".join(path.name for path in paths)
        raise DataFormatError(f"{folder} has several files for {stem!r} ({names}); keep one", _SEVERAL[part])
    return paths[0]


def read_sample(files: SampleFiles, sample_id: str, notes: SoftLabels | None = None) -> Record:
    """Read and check one sample; `notes` is that of `label_picture`.

    Raises:
        DataFormatError: a file is unreadable, the sizes differ, or there are no questions; names the file.
    """
    mask = mask_of(files.label.read_bytes(), files.label, notes)
    image, (height, width) = rgb_content(files.image.read_bytes(), files.image, mask.shape)
    check_sizes(mask, (height, width), files.label, files.image)
    try:
        qa = parse_questions(files.qa.read_bytes(), files.qa)
    except DataFormatError as error:
        raise DataFormatError(str(error), "unreadable questions") from None
    return Record(
        sample_id=stated_id(qa, files.qa) or sample_id,
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


def stated_id(qa: Mapping[str, Any], path: Path) -> str | None:
    """Return the sample id that a question file states, or None.

    Raises:
        DataFormatError: it is not a text; names the file.
    """
    stated = qa.get(SAMPLE_ID)
    if stated is not None and (not isinstance(stated, str) or not stated.strip()):
        raise DataFormatError(f"{path}: {SAMPLE_ID} is not a text; leave it out to have the id made of split and stem")
    return stated


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


class Release(SampleSource):
    """Samples of the official layout, at any depth below a folder."""

    name = "release"

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._layout = find_layout(root)
        self._samples = pair_files(self._layout, self.omissions)
        self._owners: dict[str, SampleFiles] = {}
        unpaired = self.omissions.by_split()
        self.counts = {split: len(files) + unpaired[split] for split, files in self._samples.items()}

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """List the paired samples of a split."""
        notes = SoftLabels()
        for files in self._samples[split]:
            yield files.stem, partial(self._read, files, notes)

    def _read(self, files: SampleFiles, notes: SoftLabels) -> Record:
        record = read_sample(files, id_of(files), notes)
        owner = self._owners.setdefault(record.sample_id, files)
        if owner != files:
            raise DataFormatError(
                f"{files.qa}: the sample id {record.sample_id!r} is that of {owner.qa} too; rename one", "id used twice"
            )
        return record

    def images(self, split: str) -> list[Path]:
        """Return the image files of the paired samples of a split."""
        return [files.image for files in self._samples[split]]

    def image_files(self, split: str) -> dict[str, Path]:
        """Return the image file of every paired sample, by sample id, for which every question file is read."""
        named = {}
        for files in self._samples[split]:
            try:
                stated = stated_id(parse_questions(files.qa.read_bytes(), files.qa), files.qa)
            except (DataFormatError, OSError):
                continue  # reading leaves the sample out
            named[stated or id_of(files)] = files.image
        return named

    def fingerprint(self) -> str:
        """Hash names, sizes and times of the files; see `fingerprint_files`."""
        paths = [path for parts in self._layout.splits.values() for part in parts.values() for path in part.files]
        there = [path for path in paths if path.exists()]
        folders = [part.folder for parts in self._layout.splits.values() for part in parts.values()]
        return fingerprint_files(Path(os.path.commonpath(folders)), there)


def id_of(files: SampleFiles) -> str:
    """Return the sample id that depends on nothing but split and stem: `test-0001`."""
    return f"{ON_DISK[files.split]}-{files.stem}"


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
