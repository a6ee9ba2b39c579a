"""The configurations of `load_dataset("earthreason", CONFIG)`: each knows how to make its prepared folder.

`default` is the official release, `sample` the built-in scenes; every registered source with a `config` adds one.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from earthreason.data.about import OFFICIAL, OWN_DATA, SYNTHETIC, About
from earthreason.data.prepared import FORMAT, write_prepared
from earthreason.data.schema import Record
from earthreason.data.sources import FORMATS, Source, SourceFormat, find_format
from earthreason.data.sources.release import HUB_ID, find_release, fingerprint
from earthreason.errors import DataNotFoundError, UnknownNameError
from earthreason.files import fingerprint_files

DATA_VARIABLE = "EARTHREASON_DATA"
_log = logging.getLogger(__name__)


class Config(Protocol):
    """A named source of samples."""

    @property
    def name(self) -> str: ...

    def prepare(self, data_dir: Path | None) -> Path:
        """Return a folder that `datasets` can load, making it first where it is not there yet."""
        ...

    def is_available(self) -> bool:
        """Whether `prepare(None)` can succeed without network."""
        ...


def prepared_root() -> Path:
    """Where prepared folders are kept: in the cache of `datasets`."""
    from datasets import config

    return Path(config.HF_DATASETS_CACHE) / "earthreason-prepared"


Records = tuple[Mapping[str, Iterator[Record]], Mapping[str, int]]
"""Records of every split, and how many there are."""


def _records_of(source: Source) -> Records:
    return {split: source.read(split) for split in source.counts}, source.counts


def _prepare_once(folder: Path, config: str, key: str, records: Callable[[], Records], about: About = OWN_DATA) -> Path:
    """Write the prepared folder unless it is there; of several processes one writes and the others wait."""
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / "lock"):
        if not folder.is_dir():
            _log.info("preparing %r, once, into %s", config, folder)
            splits, row_counts = records()
            write_prepared(folder, config, splits, row_counts, data=f"data-{key}", about=about)
    return folder


@dataclass(frozen=True)
class SampleConfig:
    """Synthetic scenes, made on first use: a few seconds, no network.

    `edition` goes up when the generator draws other scenes from the same seed, so that no cache holds old ones.
    """

    name: str = "sample"
    seed: int = 7
    size: tuple[int, int] = (256, 256)
    counts: tuple[tuple[str, int], ...] = (("train", 160), ("val", 60), ("test", 100))
    edition: int = 3

    def prepare(self, data_dir: Path | None) -> Path:
        from earthreason.data.sources.sample import sample_records

        if data_dir is not None:
            raise DataNotFoundError(
                "the config 'sample' is made by this package and takes no data_dir (--data-dir); leave it out"
            )
        key = hashlib.sha256(repr(self).encode()).hexdigest()[:12]
        folder = prepared_root() / f"sample-{key}" / "earthreason"
        return _prepare_once(
            folder, self.name, key, lambda: sample_records(self.seed, dict(self.counts), self.size), SYNTHETIC
        )

    def is_available(self) -> bool:
        return True


@dataclass(frozen=True)
class ReleaseConfig:
    """The official release, from a local folder or the Hub; or a folder of one's own in any form `export` writes."""

    name: str = "default"

    def prepare(self, data_dir: Path | None) -> Path:
        root = data_dir or _folder_from_environment()
        if root is None:
            root = _download()
        source_format = find_format(root) if root.is_dir() else None
        if source_format is not None and source_format.name != "release":
            key = f"folder-{_folder_key(root)}-{FORMAT}"
            folder = prepared_root() / key / "earthreason"
            return _prepare_once(folder, self.name, key, lambda: _records_of(source_format.open(root)))
        release = find_release(root)
        key = f"{fingerprint(release)}-{FORMAT}"
        folder = prepared_root() / f"release-{key}" / "earthreason"
        return _prepare_once(folder, self.name, key, lambda: _records_of(FORMATS["release"].open(release)), OFFICIAL)

    def is_available(self) -> bool:
        root = _folder_from_environment()
        return root is not None and root.is_dir()


def _folder_from_environment() -> Path | None:
    value = os.environ.get(DATA_VARIABLE)
    return Path(value).expanduser() if value else None


def _download() -> Path:
    from huggingface_hub import snapshot_download

    try:
        archive_folder = Path(snapshot_download(HUB_ID, repo_type="dataset"))
    except Exception as error:  # the Hub client raises many kinds: offline, refused, not found, timed out
        raise DataNotFoundError(
            f"the EarthReason release is not here and {HUB_ID} could not be fetched from the Hub "
            f"({type(error).__name__}). Either download and unzip it yourself and say where it is (--data-dir FOLDER, "
            f"data_dir=FOLDER in Python, or {DATA_VARIABLE}=FOLDER, holding train/, val/ and test/ with images/, "
            "labels/ and QAs/), or start with the built-in synthetic scenes: `sample` on the command line, "
            'load_dataset("earthreason", "sample") in Python'
        ) from error
    from earthreason.data.archives import extract_archives

    return extract_archives(archive_folder)


@dataclass(frozen=True)
class FolderConfig:
    """Another set of the field, from a folder that the user has: RRSIS-D, RefSegRS, ReasonSeg."""

    name: str
    source_format: SourceFormat

    def prepare(self, data_dir: Path | None) -> Path:
        if data_dir is None:
            where = f" Get it from {self.source_format.how_to_get}." if self.source_format.how_to_get else ""
            raise DataNotFoundError(
                f"{self.name} is read from a folder of yours: --config {self.name} --data-dir FOLDER, or the folder "
                "itself where a command takes SRC; in Python "
                f'load_dataset("earthreason", "{self.name}", data_dir=FOLDER).{where}'
            )
        key = f"{_folder_key(data_dir)}-{FORMAT}"
        folder = prepared_root() / f"{self.name}-{key}" / "earthreason"
        about = self.source_format.about
        return _prepare_once(folder, self.name, key, lambda: _records_of(self.source_format.open(data_dir)), about)

    def is_available(self) -> bool:
        return False


def _folder_key(folder: Path) -> str:
    return fingerprint_files(folder, (path for path in folder.rglob("*") if path.is_file()))


def _all_configs() -> dict[str, Config]:
    configs: list[Config] = [ReleaseConfig(), SampleConfig()]
    configs += [FolderConfig(f.config, f) for f in FORMATS.values() if f.config is not None]
    return {config.name: config for config in configs}


CONFIGS = _all_configs()
DEFAULT_CONFIG = "default"


def get_config(name: str | None) -> Config:
    """Look a configuration up; None means the official release.

    Raises:
        UnknownNameError: no configuration has that name.
    """
    try:
        return CONFIGS[name or DEFAULT_CONFIG]
    except KeyError:
        raise UnknownNameError("config", str(name), CONFIGS) from None
