"""Read RefSegRS: referring phrases, one per line, for tiles of 512 px."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earthreason.data.about import About
from earthreason.data.pictures import SoftLabels, mask_of
from earthreason.data.schema import Record
from earthreason.data.sources.base import FROM_DISK, SourceFormat, find_file, make_record, register
from earthreason.errors import DataFormatError

_HUB = "https://huggingface.co/datasets/JessicaYuan/RefSegRS"
_TRAINING = "output_phrase_train.txt"
_PHRASE = re.compile(r"(\d+)\s+(\S.*)")


class RefSegRS:
    """Samples of `output_phrase_{split}.txt`, `images/*.tif` and `masks/*.tif`; any non-zero mask pixel is target."""

    name = "refsegrs"

    def __init__(self, root: Path) -> None:
        folder = find_file(root, _TRAINING, "RefSegRS").parent
        self._images, self._masks = folder / "images", folder / "masks"
        self._lines: dict[str, list[Any]] = {}
        for name, split in FROM_DISK.items():
            path = folder / f"output_phrase_{name}.txt"
            if path.is_file():
                self._lines[split] = list(_phrases(path))
        self.counts = {split: len(lines) for split, lines in self._lines.items()}

    def read(self, split: str) -> Iterator[Record]:
        """Read one record per phrase."""
        seen: Counter[str] = Counter()
        notes = SoftLabels()
        for number, phrase in self._lines[split]:
            image, mask = (folder / f"{number}.tif" for folder in (self._images, self._masks))
            for path in (image, mask):
                if not path.is_file():
                    raise DataFormatError(f"{path} is missing; output_phrase names it")
            seen[number] += 1
            sample_id = f"refsegrs_{split}_{number}_{seen[number]}"
            label = mask_of(mask.read_bytes(), mask, notes)
            yield make_record(sample_id, image, label, phrase, source="RefSegRS")


def _phrases(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        match = _PHRASE.fullmatch(line.strip())
        if match is None:
            raise DataFormatError(f"{path} line {number}: expected a number and a phrase, found {line.strip()[:40]!r}")
        yield match[1], match[2]


def _holds(root: Path) -> bool:
    """Return whether phrases below a folder start with a number; RISBench has names of pictures there."""
    for path in root.rglob(_TRAINING):
        with path.open("rb") as file:
            first = next((line for line in file if line.strip()), b"")
        if re.match(rb"(\xef\xbb\xbf)?\s*\d+\s", first):
            return True
    return False


register(
    SourceFormat(
        name="refsegrs",
        title="RefSegRS: output_phrase_SPLIT.txt, images/*.tif and masks/*.tif",
        matches=_holds,
        open=RefSegRS,
        precedence=30,
        config="refsegrs",
        about=About(
            title="RefSegRS",
            licence="CC-BY-4.0",
            origin="RefSegRS was published on the Hugging Face Hub by its authors under CC-BY-4.0.",
            url=_HUB,
            citation="RRSIS: Referring Remote Sensing Image Segmentation, arXiv 2306.08625",
        ),
        paper="https://arxiv.org/abs/2306.08625",
        how_to_get=_HUB,
        revision="6aed24edec3ffa32e9872d2d505971b7dae44b7a",
        splits={"train": 2172, "validation": 431, "test": 1817},
    )
)
