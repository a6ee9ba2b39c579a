"""Read tar shards `SPLIT-000000.tar` with KEY.jpg or KEY.png, KEY.mask.png and KEY.json."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from earthreason.data.schema import Record
from earthreason.data.sources.base import SourceFormat, by_split, named, register, without_tag
from earthreason.errors import DataNotFoundError


class WebDataset:
    """Samples of the shards in a folder; their names contain the split."""

    name = "webdataset"

    def __init__(self, root: Path) -> None:
        files = [root] if root.is_file() else sorted(root.glob("*.tar"))
        self._files = by_split(files)
        self.counts = {split: sum(_count_samples(path) for path in paths) for split, paths in self._files.items()}
        if not self.counts:
            raise DataNotFoundError(f"{root} contains no tar files")

    def read(self, split: str) -> Iterator[Record]:
        """Read the records of a split."""
        for path in self._files[split]:
            with named(path, "a tar file of samples"), tarfile.open(path) as archive:
                parts: dict[str, bytes] = {}
                for member in archive:
                    reader = archive.extractfile(member)
                    if reader is not None:
                        parts[member.name.partition(".")[2]] = reader.read()
                    if member.name.endswith(".json"):
                        facts = json.loads(parts["json"])
                        picture = parts["jpg"] if "jpg" in parts else parts["png"]
                        record = Record(image=picture, mask=parts["mask.png"], ignore=parts.get("ignore.png"), **facts)
                        yield without_tag(record, path)
                        parts = {}


def _count_samples(path: Path) -> int:
    with named(path, "a tar file"), tarfile.open(path) as archive:
        return sum(member.name.endswith(".json") for member in archive)


register(
    SourceFormat(
        name="webdataset",
        title="tar shards of KEY.jpg, KEY.mask.png and KEY.json",
        matches=lambda folder: any(folder.glob("*.tar")),
        open=WebDataset,
        suffixes=(".tar",),
        precedence=45,
    )
)
