"""Find the images, labels and questions of every split below a folder, whatever the nesting and the spelling.

A folder belongs to a split and a part if a name on its path says so: `val/QAs`, `train/train/images`, `images/test`,
`EarthReason_val/RSReasonSeg/Labels`. The deepest name counts. The three folders of a split need not be siblings.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from earthreason.data.schema import SPLITS
from earthreason.errors import DataFormatError
from earthreason.files import is_system_name

FOLDERS = {"images": (".jpg", ".jpeg", ".png"), "labels": (".png",), "QAs": (".json", ".txt")}
"""Parts of a split, and the suffixes of their files."""
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Split by the words that say it in the name of a folder or file."""
_PART_WORDS = {"image": "images", "images": "images", "label": "labels", "labels": "labels", "qa": "QAs", "qas": "QAs"}
_WORD = re.compile(r"[^\W\d_]+")

Tree = Iterable[tuple[tuple[str, ...], list[str]]]
"""Every folder as its names from the root, and the names of the files in it."""


@dataclass(frozen=True)
class Part:
    """Files of one part of a split: their folder, and the files at any depth in it."""

    folder: Path
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Layout:
    """Parts of a release on disk.

    Attributes:
        folder: folder that contains all of them.
        splits: parts by split; a part without a folder is absent.
    """

    folder: Path
    splits: Mapping[str, Mapping[str, Part]]


@dataclass(frozen=True)
class Place:
    """Candidate for a part of a split: the names of its folder and of its files from the root.

    `above` is the outermost folder that contains all names that say what it is.
    """

    folder: tuple[str, ...]
    above: tuple[str, ...]
    files: tuple[tuple[str, ...], ...]


Found = dict[str, dict[str, list[Place]]]
"""Candidates by split and part."""


def belongs(name: str | Path, part: str) -> bool:
    """Return whether a file has a suffix of its part; other files, such as notes, are ignored."""
    return Path(name).suffix.lower() in FOLDERS[part]


def split_named(name: str) -> str | None:
    """Return the split that the words of a name state, as in `EarthReason_Val`; None if they state none or several."""
    return _only_meaning(name, SPLIT_WORDS)


def part_named(name: str) -> str | None:
    """Return the part that the words of a name state, as in `Labels`; None if they state none or several."""
    return _only_meaning(name, _PART_WORDS)


def _only_meaning(name: str, meanings: Mapping[str, str]) -> str | None:
    stated = {meanings[word] for word in _WORD.findall(name.lower()) if word in meanings}
    return stated.pop() if len(stated) == 1 else None


def read_tree(root: Path) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """List every folder below `root` once, sorted, without system files.

    A link to a folder is followed unless it leads back to a folder that contains it. A link that leads nowhere counts
    as a file, whose reading names the fault.

    Raises:
        DataFormatError: a folder of a split or part cannot be listed.
    """
    waiting: list[tuple[tuple[str, ...], frozenset[tuple[int, int]]]] = [((), frozenset())]
    while waiting:
        names, above = waiting.pop()
        folder = root.joinpath(*names)
        try:
            status = folder.stat()
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            if names and not any(split_named(name) or part_named(name) for name in names):
                continue  # a folder of somebody else
            raise DataFormatError(
                f"{folder}: the folder cannot be listed ({error.strerror}); make it readable, or remove it"
            ) from None
        here = above | {(status.st_dev, status.st_ino)}
        files, folders = [], []
        for entry in entries:
            if is_system_name(entry.name):
                continue
            if _holds(entry.is_dir):
                if not entry.is_symlink() or _identity(entry) not in here:
                    folders.append(entry.name)
            elif entry.is_symlink() or _holds(entry.is_file):
                files.append(entry.name)
        yield names, files
        waiting += [((*names, name), here) for name in reversed(folders)]


def _holds(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:  # a link to itself
        return False


def _identity(entry: os.DirEntry[str]) -> tuple[int, int]:
    status = entry.stat()
    return status.st_dev, status.st_ino


def find_parts(root_name: str, tree: Tree) -> Found:
    """Find the candidates for every part of every split in a tree; `root_name` may name a split too."""
    gathered: dict[tuple[str, str, tuple[str, ...]], list[tuple[str, ...]]] = {}
    above: dict[tuple[str, str, tuple[str, ...]], tuple[str, ...]] = {}
    for names, files in tree:
        path = (root_name, *names)
        split, split_at = _deepest(path, split_named)
        part, part_at = _deepest(path, part_named)
        if split is None or part is None:
            continue
        key = split, part, names[: max(split_at, part_at)]
        above[key] = names[: max(min(split_at, part_at) - 1, 0)]
        gathered.setdefault(key, []).extend((*names, file) for file in files)
    found: Found = {split: {} for split in SPLITS}
    for (split, part, folder), paths in gathered.items():
        place = Place(folder, above[split, part, folder], tuple(paths))
        found[split].setdefault(part, []).append(place)
    ordered = {split: {part: parts[part] for part in FOLDERS if part in parts} for split, parts in found.items()}
    return {split: parts for split, parts in ordered.items() if parts}


def _deepest(path: tuple[str, ...], meaning: Callable[[str], str | None]) -> tuple[str | None, int]:
    for at in reversed(range(len(path))):
        if stated := meaning(path[at]):
            return stated, at
    return None, -1


def is_release(found: Found) -> bool:
    """Return whether at least one split has all three parts."""
    return any(parts.keys() == FOLDERS.keys() for parts in found.values())


def choose_places(root: Path, found: Found) -> dict[str, dict[str, Place]]:
    """Choose the only place of every part; places without files of the part count only if there is no other.

    Raises:
        DataFormatError: a part of a split has several places; lists them.
    """
    chosen: dict[str, dict[str, Place]] = {}
    for split, parts in found.items():
        for part, places in parts.items():
            filled = [place for place in places if any(belongs(names[-1], part) for names in place.files)]
            distinct = {os.path.realpath(root.joinpath(*place.folder)): place for place in filled or places[:1]}
            if len(distinct) > 1:
                listed = " and ".join(str(root.joinpath(*place.folder)) for place in distinct.values())
                raise DataFormatError(
                    f"{root} contains several folders of {part} for {split}: {listed}. Give the folder of one release, "
                    "or move the others elsewhere"
                )
            chosen.setdefault(split, {})[part] = next(iter(distinct.values()))
    return chosen


def folder_of(root: Path, chosen: Mapping[str, Mapping[str, Place]]) -> Path:
    """Return the folder below `root` that contains all places and the names that say what they are."""
    above = [place.above for parts in chosen.values() for place in parts.values()]
    shared = takewhile(lambda level: len(set(level)) == 1, zip(*above, strict=False))
    return root.joinpath(*(level[0] for level in shared))


def part_at(root: Path, place: Place) -> Part:
    """Return the part with its paths below `root`."""
    files = tuple(root.joinpath(*names) for names in place.files)
    return Part(root.joinpath(*place.folder), files)
