"""Pair the files of a split: one image, one label and one question file a sample."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from unicodedata import normalize

from earthreason.data.layout import FOLDERS, Part, belongs

Files = dict[str, list[Path]]
"""Files of one sample by part."""


def group_by_stem(parts: Mapping[str, Part]) -> dict[str, Files]:
    """Group the files of a split by the stems that pair them.

    Files pair if their names are equal up to the last dot. What is left pairs, where exactly one file of every part
    fits, if the names are equal up to the first dot, or without regard to case and Unicode form.

    Returns:
        Files by stem. Stems with one file of each part are samples; the others lack a part, or have one twice.
    """
    left = [(part, path) for part, files in parts.items() for path in files.files if belongs(path, part)]
    groups: dict[str, Files] = {}
    for stem_of, key_of in _RULES:
        taken: set[Path] = set()
        for files in _group(left, key_of).values():
            # Several files of one name up to the last dot are a fault, and no other rule shall hide it.
            if _is_whole(files) or (key_of is _stem and files.keys() == FOLDERS.keys()):
                stem = stem_of(files["images"][0])
                if stem not in groups:
                    groups[stem] = files
                    taken.update(path for paths in files.values() for path in paths)
        left = [(part, path) for part, path in left if path not in taken]
    # No stem comes again: the rule that gave it to a sample would have found all files of that stem.
    return groups | _group(left, _stem)


def _group(files: list[tuple[str, Path]], key_of: Callable[[Path], str]) -> dict[str, Files]:
    groups: dict[str, Files] = defaultdict(lambda: defaultdict(list))
    for part, path in files:
        groups[key_of(path)][part].append(path)
    return {key: dict(paths) for key, paths in groups.items()}


def _is_whole(files: Files) -> bool:
    return files.keys() == FOLDERS.keys() and all(len(paths) == 1 for paths in files.values())


def _stem(path: Path) -> str:
    return path.stem


def _first_stem(path: Path) -> str:
    """Return the name up to its first dot, as some public readers of the release cut it."""
    return path.name.split(".")[0]


def _folded(stem: str) -> str:
    return normalize("NFC", stem).casefold()


_RULES: tuple[tuple[Callable[[Path], str], Callable[[Path], str]], ...] = (
    (_stem, _stem),
    (_first_stem, _first_stem),
    (_stem, lambda path: _folded(_stem(path))),
    (_first_stem, lambda path: _folded(_first_stem(path))),
)
"""Functions that give the stem of a sample by its image, and what the names of its files have in common."""
