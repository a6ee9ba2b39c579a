"""Find the image of a workspace that a file means by a name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from annotation_tools.workspace import AnnotationTask
from earthreason.errors import DataFormatError

_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""Prefix that Label Studio puts before the name of an uploaded file."""
_ROBOFLOW = re.compile(r"(?P<name>.+)_(?P<suffix>jpe?g|png|tiff?|bmp|webp)\.rf\.[0-9A-Za-z]+$")
"""Stem of a picture exported by Roboflow."""


def plain_path(name: str) -> str:
    """Return the path that a name states, with `/` between folders: without scheme, host, query and escapes.

    The file of Label Studio's `/data/local-files/?d=PATH` is that of the query.
    """
    text = name.replace("\\", "/")
    address = urlsplit(text) if "://" in text or text.startswith("/data/") else None
    if address is not None:
        local = parse_qs(address.query).get("d")
        text = local[0] if local else unquote(address.path)
    parts = [part for part in text.split("/") if part not in ("", ".")]
    return "/".join(parts)


def recorded_stem(stem: str) -> str:
    """Return the stem of the picture that was uploaded: without Label Studio's prefix or Roboflow's suffix."""
    roboflow = _ROBOFLOW.match(stem)
    if roboflow:
        return roboflow["name"]
    return _UPLOADED.sub("", stem, count=1) if _UPLOADED.match(stem) else stem


class Images:
    """The images of a workspace by ID, path, file name and stem."""

    def __init__(self, tasks: Iterable[AnnotationTask]) -> None:
        self.tasks: dict[str, list[AnnotationTask]] = defaultdict(list)
        self._by_path: dict[str, set[str]] = defaultdict(set)
        self._by_name: dict[str, set[str]] = defaultdict(set)
        self._by_stem: dict[str, set[str]] = defaultdict(set)
        for task in tasks:
            self.tasks[task.image].append(task)
            path = PurePosixPath(plain_path(task.origin or task.picture))
            for index in range(len(path.parts)):
                self._by_path["/".join(path.parts[index:])].add(task.image)
            self._by_name[path.name].add(task.image)
            self._by_stem[task.image].add(task.image)

    def find(self, names: Iterable[str], place: str) -> tuple[str, bool] | None:
        """Return the ID of the image with one of these names, and whether its path says so; None if there is none.

        The path decides, then the file name, then the stem, then what the tool made of it.

        Raises:
            DataFormatError: several images fit equally well; names them.
        """
        paths = [PurePosixPath(plain_path(name)) for name in names if name.strip()]
        for path in paths:
            if found := self._by_whole_path(path):
                return _only(found, str(path), place), True
            if found := self._by_name.get(path.name) or self._of_stem(path.stem):
                return _only(found, str(path), place), False
        for path in paths:
            if found := self._of_stem(recorded_stem(path.stem)) or self._of_stem(recorded_stem(path.name)):
                return _only(found, str(path), place), False
        return None

    def _of_stem(self, stem: str) -> set[str]:
        return self._by_stem.get(stem, set())

    def _by_whole_path(self, path: PurePosixPath) -> set[str]:
        """Return the images whose path ends as this one does, with as many common folders as possible.

        A single common file name decides nothing here, unless one of the two is only that.
        """
        if len(path.parts) < 2:
            return set()
        for index in range(len(path.parts) - 1):
            found = self._by_path.get("/".join(path.parts[index:]))
            if found:
                return found
        return set()


def _only(found: set[str], name: str, place: str) -> str:
    if len(found) > 1:
        raise DataFormatError(
            f"{place}: {name!r} fits several images ({', '.join(sorted(found)[:3])}); give the folder in the file, or "
            "rename them"
        )
    return next(iter(found))
