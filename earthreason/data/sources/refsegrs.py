"""Read RefSegRS: referring phrases, one per line, for tiles of 512 px."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from earthreason.data.about import About
from earthreason.data.pictures import SoftLabels, mask_of
from earthreason.data.schema import Record
from earthreason.data.sources.base import FROM_DISK, SampleSource, SourceFormat, find_file, make_record, register
from earthreason.data.sources.lookup import first_line
from earthreason.data.texts import decode_text
from earthreason.errors import DataFormatError
from earthreason.files import visible_files

_HUB = "https://huggingface.co/datasets/JessicaYuan/RefSegRS"
_TRAINING = "output_phrase_train.txt"
_PHRASE = re.compile(r"(\d+)\s+(\S.*)")


class RefSegRS(SampleSource):
    """Samples of `output_phrase_{split}.txt`, `images/*.tif` and `masks/*.tif`; any non-zero mask pixel is target."""

    name = "refsegrs"

    def __init__(self, root: Path) -> None:
        super().__init__()
        folder = find_file(root, _TRAINING, "RefSegRS").parent
        self._images, self._masks = folder / "images", folder / "masks"
        self._lines: dict[str, list[tuple[str, str]]] = {}
        for name, split in FROM_DISK.items():
            path = folder / f"output_phrase_{name}.txt"
            if path.is_file():
                self._lines[split] = _lines_of(path)
        self.counts = {split: len(lines) for split, lines in self._lines.items()}

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """Return the phrases of a split, and functions that read one with its pictures."""
        seen: Counter[str] = Counter()
        notes = SoftLabels()
        for place, line in self._lines[split]:
            match = _PHRASE.fullmatch(line.strip())
            number = match[1] if match else ""
            seen[number] += 1
            yield f"{number or place}", partial(self._read_one, split, place, line, seen[number], notes)

    def _read_one(self, split: str, place: str, line: str, count: int, notes: SoftLabels) -> Record:
        match = _PHRASE.fullmatch(line.strip())
        if match is None:
            raise DataFormatError(f"{place}: expected a number and a phrase, found {line.strip()[:40]!r}")
        image, mask = (_tiff_of(folder / match[1], place) for folder in (self._images, self._masks))
        label = mask_of(mask.read_bytes(), mask, notes)
        return make_record(f"refsegrs_{split}_{match[1]}_{count}", image, label, match[2], source="RefSegRS")


def _tiff_of(path: Path, place: str) -> Path:
    """Return the file of a number, by any spelling of the suffix."""
    names = [f"{path.name}{suffix}" for suffix in (".tif", ".tiff", ".TIF", ".TIFF")]
    found = next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)
    if found is None:
        raise DataFormatError(f"{path}.tif is missing; {place} names it")
    return found


def _lines_of(path: Path) -> list[tuple[str, str]]:
    """Return the lines with text, each after its place for messages."""
    lines = enumerate(decode_text(path.read_bytes(), path, western=True).splitlines(), start=1)
    phrases = [(f"{path} line {number}", line) for number, line in lines if line.strip()]
    if not phrases:
        raise DataFormatError(f"{path}: the list of phrases is empty; restore it, or remove it to do without the split")
    return phrases


def _holds(root: Path) -> bool:
    """Return whether phrases below a folder start with a number; RISBench has names of pictures there."""
    return any(re.match(rb"\s*\d+\s", first_line(path)) for path in visible_files(root, f"**/{_TRAINING}"))


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
