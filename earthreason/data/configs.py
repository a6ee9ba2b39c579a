"""Configurations of `load_dataset("earthreason", CONFIG)`; each makes its prepared folder.

`default` is the official release, `sample` the built-in scenes; every registered source with a `config` adds one.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthreason.data.about import OFFICIAL, OWN_DATA, SYNTHETIC, About
from earthreason.data.checksums import RECORD, read_record, recorded_folder
from earthreason.data.hub import LoadOptions, fetch_unpacked, remove_unfinished
from earthreason.data.prepared import FORMAT, write_prepared
from earthreason.data.schema import Record
from earthreason.data.sources import FORMATS, Source, SourceFormat, find_format
from earthreason.data.sources.release import HUB_ID, Release
from earthreason.errors import DataNotFoundError, UnknownNameError
from earthreason.files import fingerprint_files

if TYPE_CHECKING:
    from tqdm import tqdm

DATA_VARIABLE = "EARTHREASON_DATA"
DEFAULTS = LoadOptions()
_log = logging.getLogger(__name__)


def prepared_root(cache_dir: Path | None = None) -> Path:
    """Return the parent of all prepared folders, which is in the cache of `datasets`, or in `cache_dir`."""
    return _cache_root(cache_dir) / "earthreason-prepared"


def _cache_root(cache_dir: Path | None) -> Path:
    if cache_dir is not None:
        return cache_dir
    if "datasets" in sys.modules:
        from datasets import config

        return Path(config.HF_DATASETS_CACHE)
    # The rules of datasets/config.py, because importing `datasets` takes longer than scoring.
    home = Path(os.getenv("HF_HOME", Path(os.getenv("XDG_CACHE_HOME", "~/.cache"), "huggingface"))).expanduser()
    return Path(os.getenv("HF_DATASETS_CACHE", home / "datasets"))


Records = tuple[Mapping[str, Iterator[Record]], Mapping[str, int]]
"""Records and their number, by split."""


def _records_of(source: Source) -> Records:
    return {split: source.read(split) for split in source.counts}, source.counts


def _prepare_once(
    config: str,
    prefix: str,
    key: str,
    records: Callable[[], Records],
    about: About = OWN_DATA,
    options: LoadOptions = DEFAULTS,
) -> Path:
    """Write the prepared folder unless it exists; of several processes one writes and the others wait."""
    folder = prepared_root(options.cache_dir) / f"{prefix}-{key}" / "earthreason"
    if folder.is_dir() and not options.prepares_again:
        return folder
    from filelock import FileLock
    from tqdm import tqdm

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / "lock"):
        if options.prepares_again and folder.is_dir():
            shutil.rmtree(folder)
        if not folder.is_dir():
            _log.info("preparing %r, once, into %s", config, folder)
            remove_unfinished(folder)
            splits, row_counts = records()
            with tqdm(total=sum(row_counts.values()), unit="sample", desc="preparing", disable=None) as bar:
                counted = {split: _counted(rows, bar) for split, rows in splits.items()}
                write_prepared(folder, config, counted, row_counts, data=f"data-{key}", about=about)
    return folder


def _counted(records: Iterable[Record], bar: tqdm[Any]) -> Iterator[Record]:
    for record in records:
        yield record
        bar.update()


@dataclass(frozen=True)
class SampleConfig:
    """Synthetic scenes, made on first use in a few seconds and without network.

    Increase `edition` whenever the generator draws other scenes from the same seed, so that cached scenes are ignored.
    """

    name: str = "sample"
    seed: int = 7
    size: tuple[int, int] = (256, 256)
    counts: tuple[tuple[str, int], ...] = (("train", 160), ("val", 60), ("test", 100))
    edition: int = 3

    def prepare(self, data_dir: Path | None, options: LoadOptions = DEFAULTS) -> Path:
        """Return the prepared folder; see `ReleaseConfig.prepare`."""
        from earthreason.data.sources.sample import sample_records

        if data_dir is not None:
            raise DataNotFoundError(
                "the config 'sample' is made by this package and takes no data_dir (--data-dir); leave it out"
            )
        if options.revision is not None:
            raise DataNotFoundError(
                f"the config 'sample' is made by this package and has no revision {options.revision!r}; leave it out"
            )
        key = hashlib.sha256(f"{self!r}-{FORMAT}".encode()).hexdigest()[:12]
        records = functools.partial(sample_records, self.seed, dict(self.counts), self.size)
        return _prepare_once(self.name, "sample", key, records, SYNTHETIC, options)

    def is_available(self) -> bool:
        """Return whether `prepare(None)` succeeds without network."""
        return True


@dataclass(frozen=True)
class ReleaseConfig:
    """The official release, from a local folder or the Hub; or a folder in any format that `export` writes."""

    name: str = "default"

    def prepare(self, data_dir: Path | None, options: LoadOptions = DEFAULTS) -> Path:
        """Return a folder that `datasets` can load, and make it first if it is absent.

        Raises:
            DataNotFoundError: `data_dir` contains no samples, or the release is neither local nor reachable on the Hub.
        """
        root = data_dir or _folder_from_environment()
        if root is None:
            root = _download(options)
        else:
            _refuse_other_revision(root, options)
        source_format, folder = (find_format(root) if root.is_dir() else None) or (None, root)
        if source_format is not None and source_format.name != "release":
            return _prepare_folder(self.name, "folder", source_format, root, OWN_DATA, options)
        release = Release(folder)
        key = f"{release.fingerprint()}-{FORMAT}"
        return _prepare_once(self.name, "release", key, lambda: _records_of(release), OFFICIAL, options)

    def is_available(self) -> bool:
        """Return whether `prepare(None)` succeeds without network."""
        root = _folder_from_environment()
        return root is not None and root.is_dir()


def _folder_from_environment() -> Path | None:
    value = os.environ.get(DATA_VARIABLE)
    return Path(value).expanduser() if value else None


def _download(options: LoadOptions) -> Path:
    try:
        return fetch_unpacked(HUB_ID, options, _cache_root(options.cache_dir) / "earthreason-unpacked")
    except DataNotFoundError as error:
        raise DataNotFoundError(
            f"no local EarthReason release is given, and {error}. Or download and unzip it yourself and give its "
            f"folder (--data-dir FOLDER, data_dir=FOLDER in Python, or {DATA_VARIABLE}=FOLDER, containing train/, val/ "
            "and test/ with images/, labels/ and QAs/), or start with the built-in synthetic scenes: `sample` on the "
            'command line, load_dataset("earthreason", "sample") in Python'
        ) from error


def _refuse_other_revision(folder: Path, options: LoadOptions) -> None:
    """Refuse to load a local folder under the name of a revision that it is not known to have."""
    if options.revision is None:
        return
    place = recorded_folder(folder)
    recorded = read_record(place).get("revision") if place is not None else None
    same = recorded is not None and str(recorded).startswith(options.revision) and len(options.revision) >= 7
    if not same:
        state = f"its {RECORD} records {recorded}" if recorded else f"no {RECORD} records which it has"
        raise DataNotFoundError(
            f"{folder} is not known to be revision {options.revision!r}: {state}. Leave revision out to load the "
            f"folder as it is, or leave data_dir and {DATA_VARIABLE} out to load that revision from the Hub"
        )


@dataclass(frozen=True)
class FolderConfig:
    """A related dataset in a folder of the user, such as RRSIS-D, RefSegRS or ReasonSeg."""

    name: str
    source_format: SourceFormat

    def prepare(self, data_dir: Path | None, options: LoadOptions = DEFAULTS) -> Path:
        """Return the prepared folder; see `ReleaseConfig.prepare`."""
        if data_dir is None:
            where = f" Get it from {self.source_format.how_to_get}." if self.source_format.how_to_get else ""
            raise DataNotFoundError(
                f"{self.name} is read from your own folder: --config {self.name} --data-dir FOLDER, or the folder "
                "itself where a command takes SRC; in Python "
                f'load_dataset("earthreason", "{self.name}", data_dir=FOLDER).{where}'
            )
        _refuse_other_revision(data_dir, options)
        return _prepare_folder(self.name, self.name, self.source_format, data_dir, self.source_format.about, options)

    def is_available(self) -> bool:
        """Return False, because `prepare` needs a folder."""
        return False


def _prepare_folder(
    config: str, prefix: str, source_format: SourceFormat, folder: Path, about: About, options: LoadOptions
) -> Path:
    files = (path for path in folder.rglob("*") if path.is_file())
    key = f"{fingerprint_files(folder, files)}-{FORMAT}"
    return _prepare_once(config, prefix, key, lambda: _records_of(source_format.open(folder)), about, options)


Config = ReleaseConfig | SampleConfig | FolderConfig
_CONFIGS: tuple[Config, ...] = (
    ReleaseConfig(),
    SampleConfig(),
    *(FolderConfig(f.config, f) for f in FORMATS.values() if f.config is not None),
)
CONFIGS = {config.name: config for config in _CONFIGS}
DEFAULT_CONFIG = "default"


def get_config(name: str | None) -> Config:
    """Look up a configuration; None means the official release.

    Raises:
        UnknownNameError: the configuration is unknown.
    """
    try:
        return CONFIGS[name or DEFAULT_CONFIG]
    except KeyError:
        raise UnknownNameError("config", str(name), CONFIGS) from None
