"""Configurations of `load_dataset("earthreason", CONFIG)`; each makes its prepared folder.

`default` is the official release, `sample` and `diagnostic` the built-in scenes; every registered source with a
`config` adds one.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from earthreason.data.about import OFFICIAL, OWN_DATA, SYNTHETIC, About
from earthreason.data.cache import datasets_cache, unpacked_root
from earthreason.data.checksums import RECORD, read_record, recorded_folder
from earthreason.data.hub import LoadOptions, fetch_unpacked
from earthreason.data.omissions import Omissions
from earthreason.data.origin import about_of_folder, about_of_source
from earthreason.data.prepared import DATASET, versions_key, write_prepared
from earthreason.data.schema import Record
from earthreason.data.sources import FORMATS, Source, SourceFormat, find_format
from earthreason.data.sources.base import FROM_DISK, SampleSource, omissions_of
from earthreason.data.sources.release import HUB_ID, Release
from earthreason.errors import DataNotFoundError, UnknownNameError
from earthreason.files import fingerprint_files, remove_unfinished
from earthreason.progress import progress_bar

if TYPE_CHECKING:
    from tqdm import tqdm

DATA_VARIABLE = "EARTHREASON_DATA"
EDITION = 6
"""Increase it whenever the generator draws other scenes from the same seed, so that cached scenes are ignored."""
DEFAULTS = LoadOptions()
_log = logging.getLogger(__name__)


def prepared_root(cache_dir: Path | None = None) -> Path:
    """Return the parent of all prepared folders, which is in the cache of `datasets`, or in `cache_dir`."""
    return datasets_cache(cache_dir) / "earthreason-prepared"


Records = tuple[Mapping[str, Iterator[Record]], Mapping[str, int], Omissions]
"""Records and their number by split, and the samples that are left out while they are read."""


def _records_of(source: Source) -> Records:
    if isinstance(source, SampleSource):
        source.tolerance = None  # the prepared folder lists what is left out, and loading it decides
    return {split: source.read(split) for split in source.counts}, source.counts, omissions_of(source)


def _prepare_once(
    config: str,
    prefix: str,
    key: str,
    records: Callable[[], Records],
    source: str,
    about: About = OWN_DATA,
    options: LoadOptions = DEFAULTS,
) -> Path:
    """Write the prepared folder unless it exists; of several processes one writes and the others wait."""
    key = f"{key}-{versions_key()}"
    folder = prepared_root(options.cache_dir) / f"{prefix}-{key}" / DATASET
    if folder.is_dir() and not options.prepares_again:
        return folder
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / "lock"):
        if options.prepares_again and folder.is_dir():
            shutil.rmtree(folder)
        if not folder.is_dir():
            _log.info("preparing %r, once, into %s", config, folder)
            remove_unfinished(folder)
            splits, counts, omissions = records()
            with progress_bar(total=sum(counts.values()), unit="sample", desc=f"preparing {config}") as bar:
                write_prepared(
                    folder,
                    config,
                    {split: _counted(rows, bar) for split, rows in splits.items()},
                    counts,
                    data=f"data-{key}",
                    about=about,
                    omissions=omissions,
                    source=source,
                )
    return folder


def _counted(records: Iterable[Record], bar: tqdm[Any]) -> Iterator[Record]:
    for record in records:
        yield record
        bar.update()


class SyntheticConfig(ABC):
    """Synthetic scenes, made on first use and without network.

    The scenes are kept by the `repr` of the configuration, so every field takes part in naming them.

    Attributes:
        name: name of the configuration.
        duration: how long the scenes take to draw, for listings.
        strata: breakdowns by which `earthreason-eval` prints scores.
        scenes: number of scenes by split.
    """

    name: str
    duration: ClassVar[str]
    strata: ClassVar[tuple[str, ...]] = ()

    @property
    @abstractmethod
    def scenes(self) -> dict[str, int]: ...

    @property
    def about(self) -> About:
        """Title, licence and origin of the scenes."""
        return SYNTHETIC.stated(title=f"EarthReason {self.name}")

    @abstractmethod
    def _records(self) -> tuple[Mapping[str, Iterator[Record]], Mapping[str, int]]: ...

    def prepare(self, data_dir: Path | None, options: LoadOptions = DEFAULTS) -> Path:
        """Return the prepared folder; see `ReleaseConfig.prepare`."""
        made = f"the config {self.name!r} is made by this package and"
        if data_dir is not None:
            raise DataNotFoundError(f"{made} takes no data_dir (--data-dir); leave it out")
        if options.revision is not None:
            raise DataNotFoundError(f"{made} has no revision {options.revision!r}; leave it out")
        key = hashlib.sha256(f"{self!r}{EDITION}".encode()).hexdigest()[:12]
        return _prepare_once(
            self.name,
            self.name,
            key,
            lambda: (*self._records(), Omissions()),
            "synthetic scenes",
            self.about,
            options,
        )

    def is_available(self) -> bool:
        """Return whether `prepare(None)` succeeds without network."""
        return True


@dataclass(frozen=True)
class SampleConfig(SyntheticConfig):
    """A few hundred synthetic scenes."""

    name: str = "sample"
    seed: int = 7
    size: tuple[int, int] = (256, 256)
    counts: tuple[tuple[str, int], ...] = (("train", 160), ("val", 60), ("test", 100))
    duration: ClassVar[str] = "a few seconds"

    @property
    def scenes(self) -> dict[str, int]:
        return {FROM_DISK[name]: count for name, count in self.counts}

    def _records(self) -> tuple[Mapping[str, Iterator[Record]], Mapping[str, int]]:
        from earthreason.data.sources.sample import sample_records

        return sample_records(self.seed, dict(self.counts), self.size)


@dataclass(frozen=True)
class DiagnosticConfig(SyntheticConfig):
    """A test split of 1,000 synthetic scenes of many sizes, balanced by what it tests; never for training.

    Attributes:
        seed: unlike that of every other set in this repository.
        count: number of scenes, the first of 1,000.
    """

    name: str = "diagnostic"
    seed: int = 2504
    count: int = 1000
    duration: ClassVar[str] = "a few minutes"
    strata: ClassVar[tuple[str, ...]] = ("unseen", "reasoning_type")

    @property
    def scenes(self) -> dict[str, int]:
        return {"test": self.count}

    def _records(self) -> tuple[Mapping[str, Iterator[Record]], Mapping[str, int]]:
        from earthreason.data.sources.sample import diagnostic_records

        return diagnostic_records(self.seed, self.count)


@dataclass(frozen=True)
class ReleaseConfig:
    """The official release, from a local folder or the Hub; or a folder in any format that `export` writes."""

    name: str = "default"

    def prepare(self, data_dir: Path | None, options: LoadOptions = DEFAULTS) -> Path:
        """Return a folder that `datasets` can load, and make it first if it is absent.

        Raises:
            DataNotFoundError: `data_dir` contains no samples, or the release is neither local nor reachable on the Hub.
        """
        given = data_dir or _folder_from_environment()
        if given is not None:
            _refuse_other_revision(given, options)
        root = given or _download(options)
        source_format, folder = (find_format(root) if root.is_dir() else None) or (None, root)
        if source_format is not None and source_format.name != "release":
            about = about_of_folder(source_format, root)
            return _prepare_folder(self.name, "folder", source_format, root, about, options)
        release = Release(folder)
        about = OFFICIAL if given is None else about_of_source(release, folder)
        return _prepare_once(
            self.name,
            "release",
            release.fingerprint(),
            lambda: _records_of(release),
            str(folder.absolute()),
            about,
            options,
        )

    def is_available(self) -> bool:
        """Return whether `prepare(None)` succeeds without network."""
        root = _folder_from_environment()
        return root is not None and root.is_dir()


def _folder_from_environment() -> Path | None:
    value = os.environ.get(DATA_VARIABLE)
    return Path(value).expanduser() if value else None


def _download(options: LoadOptions) -> Path:
    try:
        return fetch_unpacked(HUB_ID, options, unpacked_root(options.cache_dir))
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
    key = fingerprint_files(folder, files)
    return _prepare_once(
        config, prefix, key, lambda: _records_of(source_format.open(folder)), str(folder.absolute()), about, options
    )


Config = ReleaseConfig | SyntheticConfig | FolderConfig
_CONFIGS: tuple[Config, ...] = (
    ReleaseConfig(),
    SampleConfig(),
    DiagnosticConfig(),
    *(FolderConfig(name, chosen) for f in FORMATS.values() for name, chosen in f.configurations().items()),
)
CONFIGS = {config.name: config for config in _CONFIGS}
DEFAULT_CONFIG = "default"


def strata_of(name: str | None) -> tuple[str, ...]:
    """Return the breakdowns by which a configuration is balanced; none of a name that is no configuration."""
    config = CONFIGS.get(name or "")
    return config.strata if isinstance(config, SyntheticConfig) else ()


def get_config(name: str | None) -> Config:
    """Look up a configuration; None means the official release.

    Raises:
        UnknownNameError: the configuration is unknown.
    """
    try:
        return CONFIGS[name or DEFAULT_CONFIG]
    except KeyError:
        raise UnknownNameError("config", str(name), CONFIGS) from None
