"""Long lists divided into pages: the first is part of a report, each further one is an HTML file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FOLDER = "pages"
"""Folder of the further pages, beside the report."""


@dataclass(frozen=True)
class Listing:
    """A list in pages.

    Attributes:
        title: heading.
        anchor: id of the heading in the report.
        pages: entries of every page, as values for the template; never empty.
        total: number of entries that exist; the pages may hold fewer.
        pictured: whether the entries are cards with pictures, or else rows of a table.
    """

    title: str
    anchor: str
    pages: list[Sequence[Any]]
    total: int
    pictured: bool = True

    @property
    def short(self) -> str:
        """Title for links: up to its colon."""
        return self.title.split(":")[0]

    @property
    def count(self) -> int:
        """Number of entries on the pages."""
        return sum(map(len, self.pages))

    def file(self, page: int) -> str:
        """Return the name of the file of a page from 2."""
        return f"{self.short.lower().replace(' ', '-')}-{page}.html"

    def address(self, page: int) -> str:
        """Return the address of a page from 1, relative to the report."""
        return f"index.html#{self.anchor}" if page == 1 else f"{FOLDER}/{self.file(page)}"


def divide(entries: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Divide entries into pages of `size`; no entries give one empty page."""
    return [entries[start : start + size] for start in range(0, max(len(entries), 1), size)]
