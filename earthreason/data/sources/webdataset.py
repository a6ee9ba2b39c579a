"""Read tar shards `SPLIT-000000.tar` with KEY.jpg or KEY.png, KEY.mask.png, KEY.ignore.png and KEY.json."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path

from earthreason.data.pictures import mask_of
from earthreason.data.schema import TARGETS, Record
from earthreason.data.sources.annotations import mask_of_annotation
from earthreason.data.sources.base import SampleSource, SourceFormat, by_split, named, register, without_tag
from earthreason.errors import DataNotFoundError
from earthreason.files import is_system_name, visible_files
from earthreason.masks.png import encode_mask_png

_PARTS = {"jpg", "png", "mask.png", "ignore.png", "json"}
"""Ends of the names of a sample's files, which stand side by side in any order."""


class WebDataset(SampleSource):
    """Samples of the shards in a folder; their names say the split."""

    name = "webdataset"

    def __init__(self, root: Path) -> None:
        super().__init__()
        files = [root] if root.is_file() else visible_files(root, "*.tar")
        self._files = by_split(files, root)
        self.counts = {split: sum(_count_samples(path) for path in paths) for split, paths in self._files.items()}
        if not self.counts:
            raise DataNotFoundError(f"{root} contains no tar files")

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """List the samples of a split, shard by shard."""
        for path in self._files[split]:
            with named(path, "a tar file of samples"), tarfile.open(path) as archive:
                for key, members in groupby(_files_in(archive), lambda member: _split_name(member)[0]):
                    parts = {_split_name(member)[1]: _content(archive, member) for member in members}
                    if parts.keys() & _PARTS:
                        yield f"{path.name} {key}.json", partial(_record, parts, Path(f"{path} member {key}.json"))


def _files_in(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Iterate over the files of an archive without those that operating systems leave behind."""
    for member in archive:
        names = [name for name in member.name.split("/") if name != "."]
        if member.isfile() and not any(map(is_system_name, names)):
            yield member


def _split_name(member: tarfile.TarInfo) -> tuple[str, str]:
    """Split the name of a member at the first dot of its last part, as the webdataset library does."""
    folder, slash, name = member.name.rpartition("/")
    stem, _, part = name.partition(".")
    return folder + slash + stem, part


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return b"" if file is None else file.read()


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
        return sum(
            any(_split_name(member)[1] in _PARTS for member in members)
            for _, members in groupby(_files_in(archive), lambda member: _split_name(member)[0])
        )


register(
    SourceFormat(
        name="webdataset",
        title="tar shards of KEY.jpg, KEY.mask.png and KEY.json",
        matches=lambda folder: bool(visible_files(folder, "*.tar")),
        open=WebDataset,
        suffixes=(".tar",),
        precedence=45,
    )
)
