"""Find the files that an index names, below one folder and in any case."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from earthreason.errors import DataFormatError


class NamedFiles:
    """Files below a folder by the names that an index gives them.

    The case of letters in a file name may differ, because sets are also packed on systems that ignore it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listings: dict[Path, dict[str, Path]] = {}

    def find(self, name: object, what: str) -> Path:
        """Find a file.

        Args:
            name: path relative to the folder; its parts may be joined as on Windows.
            what: kind of file in messages, such as `image`.

        Raises:
            DataFormatError: the name leads out of the folder, or there is no such file; the reason is `no WHAT`.
        """
        text = str(name)
        relative = PurePosixPath(text.replace("\\", "/"))
        if not text or relative.is_absolute() or PureWindowsPath(text).drive or ".." in relative.parts:
            message = f"{text!r} is no path inside {self._folder}; an index may not lead out of its folder"
            raise DataFormatError(message, f"no {what}")
        path = self._folder / relative
        found = path if path.is_file() else self._list(path.parent).get(path.name.casefold())
        if found is None:
            raise DataFormatError(f"{path} is missing; the index names it as {what}", f"no {what}")
        if not found.resolve().is_relative_to(self._folder.resolve()):
            raise DataFormatError(f"{found} is a link that leads out of {self._folder}", f"no {what}")
        return found

    def _list(self, folder: Path) -> dict[str, Path]:
        if folder not in self._listings:
            files = sorted(folder.iterdir()) if folder.is_dir() else []
            self._listings[folder] = {path.name.casefold(): path for path in files}
        return self._listings[folder]
