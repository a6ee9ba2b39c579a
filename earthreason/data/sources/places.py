"""Find the files that an index names, below one folder and in any case."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath

from earthreason.data.layout import FOLDERS
from earthreason.errors import DataFormatError
from earthreason.files import is_system_name

PICTURE_SUFFIXES = (*FOLDERS["images"], ".tif", ".tiff")
NO_PICTURE = "no picture"
"""Reason of samples that are left out because their picture is missing."""


def path_below(folder: Path, name: object, place: str) -> Path:
    """Return the path below a folder that an index names; its parts may be joined as on Windows.

    Links are followed wherever they lead: a snapshot in the Hub's cache has nothing but links, and users keep pictures
    on another disk.

    Raises:
        DataFormatError: the name leads out of the folder; `place` says what gives it.
    """
    text = str(name)
    base = os.path.abspath(folder)  # noqa: PTH100, which follows no link
    path = Path(os.path.normpath(os.path.join(base, text.replace("\\", "/"))))  # noqa: PTH118, as above
    if not path.is_relative_to(base) or path == Path(base) or PureWindowsPath(text).drive or "\0" in text:
        raise DataFormatError(f"{place}: {text!r} points outside of {folder}", "name leads outside")
    return folder / path.relative_to(base)


class NamedFiles:
    """Files below a folder by the names that an index gives them.

    The case of letters in a file name may differ, because sets are also packed on systems that ignore it.
    """

    def __init__(self, folder: Path, suffixes: tuple[str, ...] = ()) -> None:
        """Keep the folder; nothing is listed yet.

        Args:
            folder: folder of the files, which may be absent.
            suffixes: suffixes in lower case that stand for each other, so that `a.jpg` also finds `a.png`, and so does
                `a`; files with another suffix are then not found.
        """
        self.folder = folder
        self._suffixes = suffixes
        self._listings: dict[Path, dict[str, list[Path]]] = {}

    def find(self, name: object, place: str, what: str = "picture") -> Path:
        """Find a file.

        Args:
            name: path relative to the folder; its parts may be joined as on Windows.
            place: what gives the name, for messages.
            what: kind of file in messages.

        Raises:
            DataFormatError: the name leads out of the folder, there is no such file (the reason is `no WHAT`), or
                there are several.
        """
        path = path_below(self.folder, name, place)
        found = self._listing(path.parent).get(self._key(path.name), [])
        for same in (str, str.casefold):
            exact = [other for other in found if same(other.name) == same(path.name)]
            if len(exact) == 1:
                return exact[0]
        if not found:
            raise DataFormatError(f"{place}: there is no {what} {str(name)!r} in {self.folder}", f"no {what}")
        if len(found) > 1:
            names = ", ".join(other.name for other in found)
            message = f"{place}: {path.parent} has several files {str(name)!r}: {names}"
            raise DataFormatError(message, f"several {what.removesuffix('s')}s")
        return found[0]

    def _key(self, name: str) -> str:
        stem, suffix = os.path.splitext(name)  # noqa: PTH122, a Path for each of many files takes long
        return (stem if suffix.lower() in self._suffixes else name).casefold()

    def _listing(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self._listings:
            listing: dict[str, list[Path]] = {}
            for name in sorted(os.listdir(folder)) if folder.is_dir() else ():  # noqa: PTH208, as above
                if not is_system_name(name) and (not self._suffixes or name.lower().endswith(self._suffixes)):
                    listing.setdefault(self._key(name), []).append(folder / name)
            self._listings[folder] = listing
        return self._listings[folder]


def pictures_in(folder: Path) -> NamedFiles:
    """Return the pictures within a folder, found whatever suffix of a picture they have."""
    return NamedFiles(folder, PICTURE_SUFFIXES)


def find_in_any(folders: Iterable[NamedFiles], name: str, place: str) -> list[Path]:
    """Return the picture of a name in each of several folders that has one.

    Raises:
        DataFormatError: the name leads out of a folder, or a folder has several such pictures.
    """
    found = []
    for folder in folders:
        try:
            found.append(folder.find(name, place))
        except DataFormatError as error:
            if error.reason != NO_PICTURE:
                raise
    return found
