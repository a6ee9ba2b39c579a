"""A file or folder of annotations, opened only as far as a reader needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from earthreason.files import visible_files

from ..workspace import AnnotationTask
from .base import AnnotatedImage, ReadOptions
from .values import understood
from .xml import parse_xml


@dataclass(frozen=True)
class Source:
    """A file or folder of annotations.

    Attributes:
        path: its path.
        shown: its name in messages; differs from the path for the contents of an archive.
        options: reading options.
        tasks: tasks of the workspace by ID, for formats that state no sizes or that match images by place.
    """

    path: Path
    shown: str
    options: ReadOptions
    tasks: Mapping[str, AnnotationTask]

    @property
    def suffix(self) -> str:
        """Suffix of the file in lower case; empty for a folder."""
        return "" if self.path.is_dir() else self.path.suffix.lower()

    @cached_property
    def text(self) -> str:
        """Text of the file in UTF-8, without its byte order mark.

        Raises:
            DataFormatError: the file is not UTF-8.
        """
        with understood(self.shown, "UTF-8 text"):
            return self.path.read_text(encoding="utf-8-sig")

    @cached_property
    def document(self) -> Any:
        """JSON of the file.

        Raises:
            DataFormatError: the file is not JSON.
        """
        with understood(self.shown, "JSON"):
            try:
                return json.loads(self.text)
            except RecursionError:
                raise ValueError("nested too deeply") from None

    @cached_property
    def keys(self) -> frozenset[str]:
        """Keys of the JSON object in the file; empty if it is another value or no `.json` file."""
        if self.suffix not in (".json", ".geojson") or not isinstance(self.document, dict):
            return frozenset()
        return frozenset(self.document)

    @cached_property
    def tag(self) -> str:
        """Name of the root element of an `.xml` file; empty for other files.

        Raises:
            DataFormatError: the file is not XML, or declares entities.
        """
        return str(self.root.tag) if self.suffix == ".xml" else ""

    @cached_property
    def root(self) -> Any:
        """Root element of the XML file."""
        return parse_xml(self.path.read_bytes(), self.shown)

    @cached_property
    def tree(self) -> tuple[Path, ...]:
        """The visible files below the folder, in order."""
        return tuple(visible_files(self.path, "**/*"))

    def files(self, *suffixes: str) -> list[Path]:
        """List the visible files of a folder with one of these suffixes (lower case), in order."""
        return [path for path in self.tree if path.suffix.lower() in suffixes]

    def name_of(self, path: Path) -> str:
        """Return the path of a file below the folder as messages write it, such as `export.zip/annotations.xml`."""
        return f"{self.shown}/{path.relative_to(self.path).as_posix()}"

    def within(self, path: Path) -> Source:
        """Return a file below the folder as a source of its own."""
        return replace(self, path=path, shown=self.name_of(path))


@dataclass(frozen=True)
class Format:
    """A format of annotations. A new one is a module with a reader, and a line in `registry.py`.

    Attributes:
        name: name of the format, as help and messages write it.
        claims: tells whether a file or folder is in this format; it looks at as little as possible.
        read: yields what it says about each image.
        parts: lists the files of a folder that belong to the format; the others are read in their own formats. Only
            for formats that are a folder; None means all files.
    """

    name: str
    claims: Callable[[Source], bool]
    read: Callable[[Source], Iterable[AnnotatedImage]]
    parts: Callable[[Source], Collection[Path]] | None = None
