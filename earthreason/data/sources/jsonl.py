"""Read JSON Lines with one question per line (Geo-R1's fields); images and masks are paths relative to the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from earthreason.data.pictures import SoftLabels
from earthreason.data.schema import Record
from earthreason.data.sources.base import SampleSource, SourceFormat, named, record_of_question, register, split_of_name
from earthreason.files import text_lines


class JSONLines(SampleSource):
    """Samples of one file, whose name says the split; without one it is `test`."""

    name = "jsonl"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path, self._split = path, split_of_name(path, alone=True)
        self.counts = {self._split: sum(1 for line in text_lines(path) if line.strip())}

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """List the lines of the file."""
        notes = SoftLabels()
        for number, line in enumerate(text_lines(self._path), start=1):
            if line.strip():
                yield f"line {number}", partial(self._record, number, line, notes)

    def _record(self, number: int, line: str, notes: SoftLabels) -> Record:
        with named(Path(f"{self._path} line {number}"), "a question with its pictures"):
            return record_of_question(json.loads(line), self._path.parent, notes)


register(
    SourceFormat(
        name="jsonl",
        title="a file of JSON lines with id, image, mask, problem",
        matches=lambda folder: False,  # a folder never has this format
        open=JSONLines,
        suffixes=(".jsonl",),
    )
)
