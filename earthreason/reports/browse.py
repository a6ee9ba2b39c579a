"""A static gallery: one page with filters, and a folder of thumbnails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from earthreason.data.reader import read_all
from earthreason.data.schema import Record
from earthreason.data.sources import Source
from earthreason.files import atomic_path
from earthreason.reports.page import write_page
from earthreason.reports.samples import pictures_of

_SIDE = 256
_PAGE = 48
"""Samples shown at a time."""


def write_gallery(source: Source, folder: Path, progress: Callable[[int], object] = lambda _: None) -> Path:
    """Write `folder/index.html` and its pictures; return its path. The folder appears when it is complete."""
    with atomic_path(folder) as temporary:
        pictures = temporary / "pictures"
        pictures.mkdir(parents=True)
        cards = []
        for number, (split, record) in enumerate(read_all(source)):
            plain, tinted, _ = pictures_of(record, _SIDE)
            for kind, picture in (("a", plain), ("b", tinted)):
                picture.save(pictures / f"{number:05d}{kind}.jpg", quality=80)
            cards.append(_card(number, split, record))
            progress(1)
        choices = {key: sorted({card[key] for card in cards if card[key]}) for key in ("split", "category", "kind")}
        write_page(temporary / "index.html", "browse.html", cards=cards, choices=choices, size=_PAGE)
    return folder / "index.html"


def _card(number: int, split: str, record: Record) -> dict[str, Any]:
    return {
        "picture": f"pictures/{number:05d}",
        "split": split,
        "category": record.category or "",
        "kind": record.reasoning_type or "",
        "empty": record.is_empty,
        "record": record,
        "text": " ".join([record.sample_id, *record.questions, *record.answers]).lower(),
    }
