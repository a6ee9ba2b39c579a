"""A static gallery: a page that shows some samples at a time and searches all, with their texts and thumbnails."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from earthreason.data.reader import read_all
from earthreason.data.schema import Record
from earthreason.data.sources import Source
from earthreason.files import atomic_path, write_text
from earthreason.reports.page import write_page
from earthreason.reports.samples import pictures_of

_SIDE = 256
_PAGE = 24
"""Samples shown at a time."""


def write_gallery(source: Source, folder: Path, progress: Callable[[int], object] = lambda _: None) -> Path:
    """Write `folder/index.html`, its data and its pictures; return the path of the page.

    The folder appears when it is complete. The data are a script, because a page that was opened as a file may load
    nothing else.
    """
    with atomic_path(folder) as temporary:
        pictures = temporary / "pictures"
        pictures.mkdir(parents=True)
        cards = []
        for number, (split, record) in enumerate(read_all(source)):
            plain, tinted, _ = pictures_of(record, _SIDE)
            for kind, picture in (("a", plain), ("b", tinted)):
                picture.save(pictures / f"{number:05d}{kind}.jpg", quality=80)
            cards.append(_card(number, split, record, plain))
            progress(1)
        lines = ",\n".join(json.dumps(card, separators=(",", ":")) for card in cards)
        write_text(temporary / "samples.js", f"const samples = [\n{lines}\n];\n")
        choices = {key: sorted({card[key] for card in cards if card[key]}) for key in ("split", "category", "kind")}
        counts = Counter(card["split"] for card in cards)
        write_page(temporary / "index.html", "browse.html", counts=counts, choices=choices, size=_PAGE, side=_SIDE)
    return folder / "index.html"


def _card(number: int, split: str, record: Record, picture: Image.Image) -> dict[str, Any]:
    facts = [record.sample_id, split, record.category, record.reasoning_type, f"{record.width} x {record.height}"]
    facts += [f"{record.ground_resolution:g} m" if record.ground_resolution else None]
    facts += ["no target" if record.is_empty else None]
    return {
        "id": record.sample_id,
        "picture": f"pictures/{number:05d}",
        "size": picture.size,
        "split": split,
        "category": record.category or "",
        "kind": record.reasoning_type or "",
        "empty": "yes" if record.is_empty else "no",
        "questions": record.questions,
        "answers": record.answers,
        "facts": [fact for fact in facts if fact],
    }
