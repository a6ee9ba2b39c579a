"""A file or folder of annotations, opened only as far as a reader needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from annotation_tools.formats.base import AnnotatedImage, ReadOptions
from annotation_tools.formats.xml import parse_xml
from annotation_tools.workspace import AnnotationTask
from earthreason.data.sources.base import named
from earthreason.files import visible_files


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
    def document(self) -> Any:
        """JSON of the file.

        Raises:
            DataFormatError: the file is not JSON.
        """
        with named(Path(self.shown), "JSON"):
            try:
                return json.loads(self.path.read_text(encoding="utf-8-sig"))
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

    def files(self, *suffixes: str) -> list[Path]:
        """List the visible files of a folder with one of these suffixes (lower case), in order."""
        return [path for path in visible_files(self.path, "**/*") if path.suffix.lower() in suffixes]


@dataclass(frozen=True)
class Format:
    """A format of annotations. A new one is a module with a reader, and a line in `registry.py`.

    Attributes:
        name: name of the format, as help and messages write it.
        claims: tells whether a file or folder is in this format; it looks at as little as possible.
        read: yields what it says about each image.
    """

    name: str
    claims: Callable[[Source], bool]
    read: Callable[[Source], Iterable[AnnotatedImage]]
