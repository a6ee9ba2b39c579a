"""Find the image of a workspace that a file means by a name."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from earthreason.errors import DataFormatError

from ..workspace import AnnotationTask

_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""Prefix that Label Studio puts before the name of an uploaded file."""
_ROBOFLOW = re.compile(r"(?P<name>.+)_(?:jpe?g|png|tiff?|bmp|webp)\.rf\.[0-9A-Za-z]+$", re.IGNORECASE)
"""Stem of a picture exported by Roboflow."""
_WEB = ("http", "https")


def plain_path(name: str) -> str:
    """Return the path that a name states, with `/` between folders: without scheme, host, query and escapes.

    Label Studio's links `/data/local-files/?d=PATH` and `/tasks/1/resolve/?fileuri=BASE64` name a file in their query.
    A picture inside the file (`data:`) has no name.
    """
    text = unicodedata.normalize("NFC", name.strip()).replace("\\", "/")
    scheme, separator, rest = text.partition("://")
    if text.startswith("data:"):
        text = ""
    elif separator and scheme.lower() not in _WEB:
        text = rest.partition("/")[2]  # a bucket (s3, gs, azure-blob), whose keys have no escapes and no query
    elif separator or text.startswith(("/data/", "/tasks/")):
        address = urlsplit(text)
        query = parse_qs(address.query)
        if "fileuri" in query and (uri := _decoded(query["fileuri"][0])):
            return plain_path(uri)
        text = unicodedata.normalize("NFC", query["d"][0] if "d" in query else unquote(address.path))
    return "/".join(part for part in text.split("/") if part not in ("", "."))


def _decoded(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""


def _file_key(path: PurePosixPath) -> str:
    """Return the name of a file with its suffix in lower case, as cameras and systems disagree on it."""
    return path.stem + path.suffix.lower()


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return path.stem if re.fullmatch(r"\.[A-Za-z][A-Za-z0-9]{1,4}", path.suffix) else path.name


def _uploaded(stem: str) -> str:
    """Return a stem as Django stores it, and so Label Studio: spaces become `_`, and signs other than `-_.` go."""
    return re.sub(r"[^-\w.]", "", stem.strip().replace(" ", "_"))


def _in_roboflow(stem: str) -> str:
    """Return a stem as Roboflow writes it: signs other than `-_` become `-`."""
    return re.sub(r"[^\w-]+", "-", stem)


class Images:
    """The images of a workspace by ID, path, file name, stem, and what tools make of their stems."""

    def __init__(self, tasks: Iterable[AnnotationTask]) -> None:
        self.tasks: dict[str, list[AnnotationTask]] = defaultdict(list)
        for task in tasks:
            self.tasks[task.image].append(task)
        self._by_path: dict[str, set[str]] = defaultdict(set)
        self._by_name: dict[str, set[str]] = defaultdict(set)
        self._by_stem: dict[str, set[str]] = defaultdict(set)
        self._by_upload: dict[str, set[str]] = defaultdict(set)
        self._by_roboflow: dict[str, set[str]] = defaultdict(set)
        for image, several in self.tasks.items():
            for path in {PurePosixPath(plain_path(name)) for name in _names(several)}:
                for index in range(len(path.parts)):
                    self._by_path["/".join((*path.parts[index:-1], _file_key(path)))].add(image)
                self._by_name[_file_key(path)].add(image)
            stem = unicodedata.normalize("NFC", image)
            self._by_stem[stem].add(image)
            self._by_upload[_uploaded(stem)].add(image)
            self._by_roboflow[_in_roboflow(stem)].add(image)

    def find(self, names: Iterable[str], place: str) -> tuple[str, bool] | None:
        """Return the ID of the image with one of these names, and whether its path says so; None if there is none.

        Paths decide, then file names, then stems, then what tools make of them: all names are tried by one rule before
        the next one.

        Raises:
            DataFormatError: several images fit equally well; names them.
        """
        plain = [(name, PurePosixPath(text)) for name in names if (text := plain_path(name))]
        for stated, path in plain:
            if found := self._of_path(path):
                return _only(found, stated, place), True
        for of in (self._of_name, self._of_stem, self._of_recorded):
            for stated, path in plain:
                if found := of(path):
                    return _only(found, stated, place), False
        return None

    def _of_path(self, path: PurePosixPath) -> set[str]:
        """Return the images whose path ends as this one does, with as many common folders as possible, at least one."""
        for index in range(len(path.parts) - 1):
            found = self._by_path.get("/".join((*path.parts[index:-1], _file_key(path))))
            if found:
                return found
        return set()

    def _of_name(self, path: PurePosixPath) -> set[str]:
        return self._by_name.get(_file_key(path), set())

    def _of_stem(self, path: PurePosixPath) -> set[str]:
        return self._by_stem.get(path.name) or self._by_stem.get(_stem(path.name)) or set()

    def _of_recorded(self, path: PurePosixPath) -> set[str]:
        """Return the images from whose name Roboflow, Label Studio or an escape in a URL made this one."""
        for name in dict.fromkeys((path.name, unicodedata.normalize("NFC", unquote(path.name)))):
            stem = _stem(name)
            if roboflow := _ROBOFLOW.match(stem):
                return self._by_roboflow.get(_in_roboflow(roboflow["name"]), set())
            if found := self._by_stem.get(stem):
                return found
            if prefix := _UPLOADED.match(stem):
                bare = stem[prefix.end() :]
                if found := self._by_stem.get(bare, set()) | self._by_upload.get(_uploaded(bare), set()):
                    return found
        return set()


def _names(tasks: Iterable[AnnotationTask]) -> Iterator[str]:
    for task in tasks:
        yield task.picture
        if task.origin:
            yield task.origin


def _only(found: set[str], name: str, place: str) -> str:
    if len(found) > 1:
        raise DataFormatError(
            f"{place}: {name!r} fits several images ({', '.join(sorted(found)[:3])}); give the folder in the file, or "
            "rename them"
        )
    return next(iter(found))
