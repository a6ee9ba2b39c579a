"""List every set that can be loaded: what it is, its size, its terms, where to get it, and what of it is at hand."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from earthreason.data.about import About
from earthreason.data.configs import CONFIGS, DATA_VARIABLE, DEFAULT_CONFIG, SyntheticConfig, prepared_root
from earthreason.data.layout import SPLIT_WORDS
from earthreason.data.omissions import LEFT_OUT, Omissions
from earthreason.data.sources import FORMATS, find_format
from earthreason.data.sources.base import SourceFormat
from earthreason.errors import UnknownNameError

_RELEASE = "release"
"""Format of the official release, and the start of the names of its prepared folders."""


@dataclass(frozen=True)
class Prepared:
    """A prepared folder in the cache.

    Attributes:
        folder: path, which `datasets.load_dataset` reads.
        samples: number of samples by split, without those that were left out.
    """

    folder: str
    samples: dict[str, int]


@dataclass(frozen=True)
class DataSet:
    """A set that can be loaded.

    Attributes:
        name: configuration that loads it.
        variants: further configurations that load other parts of it.
        form: files that it consists of.
        splits: published number of samples by split; None where none is stated.
        about: title, licence, origin and citation.
        paper: URL of its paper.
        how_to_get: URL where users get it.
        revision: revision that its reader was written for.
        found: folder in EARTHREASON_DATA that contains it; None if there is none.
        prepared: what the cache has of it.
    """

    name: str
    variants: tuple[str, ...]
    form: str
    splits: dict[str, int] | None
    about: About
    paper: str | None
    how_to_get: str | None
    revision: str | None
    found: str | None
    prepared: tuple[Prepared, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the set as JSON values; the parts of `about` stand beside the others."""
        values = asdict(self)
        return {**values.pop("about"), **values, "prepared": list(values["prepared"]), "variants": list(self.variants)}


def list_sets() -> list[DataSet]:
    """List the official release, the built-in scenes and every set with a configuration, in this order."""
    found, prepared = _found(), _prepared()
    release = FORMATS[_RELEASE]
    others = sorted((f for f in FORMATS.values() if f.config is not None), key=lambda f: str(f.config))
    return [
        _set_of(release, DEFAULT_CONFIG, found, prepared.get(_RELEASE, [])),
        *(_scenes(config, prepared) for config in CONFIGS.values() if isinstance(config, SyntheticConfig)),
        *(_set_of(f, str(f.config), found, _of_configs(prepared, f.configurations())) for f in others),
    ]


def get_set(name: str) -> DataSet:
    """Look up a set by its configuration or by a variant.

    Raises:
        UnknownNameError: there is no such set; names the nearest.
    """
    sets = {name: listed for listed in list_sets() for name in (listed.name, *listed.variants)}
    if name not in sets:
        raise UnknownNameError("set", name, sets)
    return sets[name]


def _scenes(config: SyntheticConfig, prepared: dict[str, list[Prepared]]) -> DataSet:
    form = f"made on first use, in {config.duration}"
    at_hand = tuple(prepared.get(config.name, ()))
    return DataSet(config.name, (), form, config.scenes, config.about, None, None, None, None, at_hand)


def _set_of(form: SourceFormat, config: str, found: dict[str, str], prepared: Iterable[Prepared]) -> DataSet:
    return DataSet(
        name=config,
        variants=tuple(form.variants),
        form=form.title,
        splits=None if form.splits is None else dict(form.splits),
        about=form.about,
        paper=form.paper,
        how_to_get=form.how_to_get,
        revision=form.revision,
        found=found.get(form.name),
        prepared=tuple(prepared),
    )


def _of_configs(prepared: dict[str, list[Prepared]], names: Iterable[str]) -> list[Prepared]:
    return [folder for name in names for folder in prepared.get(name, ())]


def _found() -> dict[str, str]:
    """Return the folder of every set in EARTHREASON_DATA: that folder itself, or a folder in it."""
    value = os.environ.get(DATA_VARIABLE)
    root = Path(value).expanduser() if value else None
    if root is None or not root.is_dir():
        return {}
    found: dict[str, str] = {}
    # The folder of one split is part of a set, although some formats open it alone.
    folders = sorted(path for path in root.iterdir() if path.is_dir() and path.name.lower() not in SPLIT_WORDS)
    for folder in (*folders, root):
        matched = find_format(folder)
        if matched is not None:
            found.setdefault(matched[0].name, str(folder))
    return found


def _prepared() -> dict[str, list[Prepared]]:
    """Return the prepared folders by the configuration, or by `release`, that their names start with."""
    names = sorted((_RELEASE, *CONFIGS), key=len, reverse=True)  # earthreason-fs-5shot before earthreason-fs
    prepared: dict[str, list[Prepared]] = {}
    for folder in sorted(prepared_root().glob("*/earthreason")):
        name = next((name for name in names if folder.parent.name.startswith(f"{name}-")), None)
        if name is not None and (folder / "README.md").is_file():
            omissions, counts = Omissions.read(folder / LEFT_OUT)
            left_out = omissions.by_split()
            samples = {split: count - left_out[split] for split, count in counts.items()}
            prepared.setdefault(name, []).append(Prepared(str(folder), samples))
    return prepared
