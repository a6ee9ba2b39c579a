"""Find the release below a folder: unpacked, in archives, or partly in both.

What is unpacked comes first. Archives are read only where a part of a split is lacking; they are unpacked once, into
the cache, and nothing is written into the folder of the user.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from unicodedata import normalize

from earthreason.data.archives import Archive, find_archives, list_members, unpack, unreadable_archives
from earthreason.data.cache import unpacked_root
from earthreason.data.layout import (
    FOLDERS,
    Found,
    Layout,
    Part,
    Place,
    Tree,
    belongs,
    choose_places,
    find_parts,
    folder_of,
    is_release,
    part_at,
    part_named,
    read_tree,
)
from earthreason.data.schema import SPLITS
from earthreason.errors import DataNotFoundError, EarthReasonError
from earthreason.files import fingerprint_files
from earthreason.plurals import count_of

_FIRST = 20
"""Members of a tar file that tell a release from a shard."""
_log = logging.getLogger(__name__)


def find_layout(root: Path) -> Layout:
    """Find the parts of the release in a folder at any depth, in archives in it, or in one archive.

    Raises:
        DataNotFoundError: there is no release; says what is there instead.
        DataFormatError: there are several releases, an archive is broken, or a folder cannot be listed; names them.
    """
    root = Path(root)
    if root.is_file():
        found = find_archives(root.parent, [((), [root.name])])
        layout = _in_archives(root.parent, "", {}, found) if found else None
        if layout is None:
            raise DataNotFoundError(f"{root} is a file, and no archive of a release; give the folder of the release")
        return layout
    if not root.is_dir():
        raise DataNotFoundError(
            f"there is no folder {root}; --data-dir (data_dir in Python) is the folder of the unzipped release"
        )
    tree = list(read_tree(root))
    layout = _in_tree(root, tree)
    if layout is None:
        raise DataNotFoundError(_what_is_there(root, tree))
    _warn_of_more_in_zips(layout, find_archives(root, tree))
    return layout


def _warn_of_more_in_zips(layout: Layout, archives: list[Archive]) -> None:
    """Warn where a zip has files that the unpacked part lacks, because its unpacking was perhaps interrupted.

    They are not added, because users remove broken samples from the unpacked folder.
    """
    for archive in archives:
        if archive.pieces[0].suffix.lower() != ".zip":
            continue  # to list a tar, all of it must be read
        try:
            packed = find_parts("", _tree_of(list_members([archive])))
        except EarthReasonError:
            continue  # it was not needed
        more: list[str] = []
        for split, parts in packed.items():
            for part, places in parts.items():
                there = {normalize("NFC", path.name) for path in _files_of(layout, split, part)}
                named = {normalize("NFC", names[-1]) for place in places for names in place.files}
                lacking = sorted(name for name in named - there if belongs(name, part))
                more += [f"{split}/{part}/{name}" for name in lacking if there]
        if more:
            _log.warning(
                "%s: %s has %s that the unpacked folders lack (%s, ...); only the folders are loaded; if unpacking "
                "was interrupted, unpack it again",
                layout.folder,
                archive.pieces[0].name,
                count_of(len(more), "file"),
                more[0],
            )


def _files_of(layout: Layout, split: str, part: str) -> tuple[Path, ...]:
    found = layout.splits.get(split, {}).get(part)
    return () if found is None else found.files


def locate_layout(root: Path, *, packed: bool) -> Layout | None:
    """Return what `find_layout` finds, or None; without `packed`, only if a split is unpacked or in a tar file.

    A folder of tar files looks like shards of WebDataset, so the first members decide.

    Raises:
        DataFormatError: as `find_layout`.
    """
    if root.is_file():
        archives = find_archives(root.parent, [((), [root.name])])
        return find_layout(root) if archives and (packed or _starts_as_release(archives)) else None
    if not root.is_dir():
        return None
    tree = list(read_tree(root))
    if packed or is_release(find_parts(_name_of(root), tree)) or _starts_as_release(find_archives(root, tree)):
        return _in_tree(root, tree)
    return None


def _starts_as_release(archives: list[Archive]) -> bool:
    try:
        return any(
            any(map(part_named, names[:-1]))
            for archive in archives
            if archive.pieces[0].suffix.lower() == ".tar"
            for names in islice(list_members([archive]), _FIRST)
        )
    except EarthReasonError:
        return False  # the format that matches names the fault


def _in_tree(root: Path, tree: Tree) -> Layout | None:
    name = _name_of(root)
    found = find_parts(name, tree)
    if is_release(_filled(found)):
        chosen = choose_places(root, _filled(found))
        if all(chosen.get(split, {}).keys() == FOLDERS.keys() for split in SPLITS):
            return _layout_of(root, chosen, root, {})
    archives = find_archives(root, tree)
    layout = _in_archives(root, name, found, archives) if archives else None
    if layout is not None or not is_release(_filled(found)):
        return layout
    return _layout_of(root, choose_places(root, found), root, {})


def _in_archives(root: Path, name: str, found: Found, archives: list[Archive]) -> Layout | None:
    """Add the parts in archives that `found` lacks; None if there are none, or if there is no release even so."""
    key = fingerprint_files(root, [piece for archive in archives for piece in archive.pieces])
    target = unpacked_root() / key / (name or "archive")
    try:
        # Listing a compressed tar file takes as long as unpacking it.
        listed = find_parts(name, read_tree(target) if target.is_dir() else _tree_of(list_members(archives)))
    except EarthReasonError as error:
        raise type(error)(f"{error}; or move it elsewhere") from None
    filled = _filled(found)
    lacking = _without(listed, filled)
    if not lacking or not is_release(_merge(filled, lacking)):
        return None
    _unpack_once(archives, target)
    packed = _without(find_parts(name, read_tree(target)), filled)
    return _layout_of(root, choose_places(root, _without(found, packed)), target, choose_places(target, packed))


def _unpack_once(archives: list[Archive], target: Path) -> None:
    if target.is_dir():
        return
    from filelock import FileLock

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent / "lock"):
            if not target.is_dir():
                _log.info("unpacking %s, once, into %s", count_of(len(archives), "archive"), target)
                unpack(archives, target)
    except OSError as error:
        if isinstance(error, EarthReasonError):
            raise
        raise EarthReasonError(
            f"{target}: the archives cannot be unpacked there ({error.strerror}); set HF_DATASETS_CACHE to another "
            "folder, or unpack them yourself"
        ) from None


def _tree_of(files: Iterable[tuple[str, ...]]) -> Tree:
    folders: dict[tuple[str, ...], list[str]] = {}
    for names in files:
        folders.setdefault(names[:-1], []).append(names[-1])
    return folders.items()


def _without(found: Found, other: Found) -> Found:
    """Return the candidates for parts of which `other` has none."""
    kept = {
        split: {part: places for part, places in parts.items() if part not in other.get(split, {})}
        for split, parts in found.items()
    }
    return {split: parts for split, parts in kept.items() if parts}


def _filled(found: Found) -> Found:
    """Return the candidates for parts of which at least one has files, so that an empty folder hides no archive."""
    kept = {
        split: {
            part: places
            for part, places in parts.items()
            if any(belongs(names[-1], part) for place in places for names in place.files)
        }
        for split, parts in found.items()
    }
    return {split: parts for split, parts in kept.items() if parts}


def _merge(found: Found, other: Found) -> Found:
    return {split: {**found.get(split, {}), **other.get(split, {})} for split in found.keys() | other.keys()}


def _layout_of(
    root: Path,
    chosen: Mapping[str, Mapping[str, Place]],
    target: Path,
    packed: Mapping[str, Mapping[str, Place]],
) -> Layout:
    folder = root
    if not (chosen and packed):
        folder = folder_of(target, packed) if packed else folder_of(root, chosen)
    splits: dict[str, dict[str, Part]] = {}
    for split in SPLITS:
        parts = {part: part_at(root, place) for part, place in chosen.get(split, {}).items()}
        parts |= {part: part_at(target, place) for part, place in packed.get(split, {}).items()}
        if parts:
            splits[split] = parts
    return Layout(folder, splits)


def _name_of(root: Path) -> str:
    return root.absolute().name


def _what_is_there(root: Path, tree: Tree) -> str:
    message = f"{root} contains no release: expected train/, val/ or test/ with {', '.join(FOLDERS)} inside"
    if unreadable := unreadable_archives(root, tree):
        return f"{message}. {unreadable[0].name} is an archive of a kind that is not read here; unpack it first"
    found = find_parts(_name_of(root), tree)
    if partial := _filled(found):
        there = "; ".join(
            f"{split} has {', '.join(parts)} but no {', '.join(part for part in FOLDERS if part not in parts)}"
            for split, parts in partial.items()
        )
        return f"{message}. {there}"
    if is_release(found):
        return f"{message}. These folders are there, but they have no files of samples"
    if {part_named(names[-1]) for names, _ in tree if names} >= FOLDERS.keys():
        return f"{message}. There are {', '.join(FOLDERS)}, but no name says of which split"
    if archives := find_archives(root, tree):
        return f"{message}, and neither do its {len(archives)} archives (the first is {archives[0].pieces[0].name})"
    return message
