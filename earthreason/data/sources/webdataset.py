"""Read tar shards `SPLIT-000000.tar` with KEY.jpg or KEY.png, KEY.mask.png, KEY.ignore.png and KEY.json."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from earthreason.data.pictures import mask_of
from earthreason.data.schema import TARGETS, Record
from earthreason.data.sources.annotations import mask_of_annotation
from earthreason.data.sources.base import SampleSource, SourceFormat, by_split, named, register, without_tag
from earthreason.errors import DataNotFoundError
from earthreason.masks.png import encode_mask_png


class WebDataset(SampleSource):
    """Samples of the shards in a folder; their names say the split."""

    name = "webdataset"

    def __init__(self, root: Path) -> None:
        super().__init__()
        files = [root] if root.is_file() else sorted(root.glob("*.tar"))
        self._files = by_split(files, root)
        self.counts = {split: sum(_count_samples(path) for path in paths) for split, paths in self._files.items()}
        if not self.counts:
            raise DataNotFoundError(f"{root} contains no tar files")

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """List the samples of a split, shard by shard."""
        for path in self._files[split]:
            with named(path, "a tar file of samples"), tarfile.open(path) as archive:
                parts: dict[str, bytes] = {}
                for member in archive:
                    reader = archive.extractfile(member)
                    if reader is not None:
                        parts[member.name.partition(".")[2]] = reader.read()
                    if member.name.endswith(".json"):
                        place = Path(f"{path} member {member.name}")
                        yield f"{path.name} {member.name}", partial(_record, parts, place)
                        parts = {}


def _record(parts: dict[str, bytes], place: Path) -> Record:
    with named(place, "a sample"):
        facts = json.loads(parts["json"])
        picture = parts["jpg"] if "jpg" in parts else parts["png"]
        targets = facts.pop(TARGETS, None)  # RLEs
        if targets is not None:
            shape = facts["height"], facts["width"]
            targets = [encode_mask_png(mask_of_annotation(target, *shape)) for target in targets]
        ignore = parts.get("ignore.png")
        if ignore is not None and not mask_of(ignore, place).any():
            ignore = None
        record = Record(image=picture, mask=parts["mask.png"], ignore=ignore, targets=targets, **facts)
        return without_tag(record, place)


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
