"""Where the data of a source comes from, by evidence: a folder in the release's layout need not be the release."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from earthreason.data.about import ABOUT, OFFICIAL, OWN_DATA, SYNTHETIC, About, read_about
from earthreason.data.checksums import read_record, recorded_folder
from earthreason.data.sources import FORMATS, Source, SourceFormat
from earthreason.data.sources.release import HUB_ID, PUBLISHED, Release
from earthreason.errors import DataFormatError

_SYNTHETIC_STEM = re.compile(r"synthetic_s\d+_(train|val|test)_\d{6}")
_NEAR = 0.05
"""Share by which the numbers of samples of an incomplete release may differ from the published ones."""


def about_of_source(source: Source, place: Path | None) -> About:
    """Return title, licence and origin of a source.

    The first evidence counts: an `about.json` in the folder, as exports have it; the declaration of a dataset with a
    format of its own; file stems that `earthreason synth` writes; a record of our download, the Hub's cache or the
    published number of samples, for the official release. Without any the data is the user's own.

    Args:
        source: opened source.
        place: folder or file of the source; None if it has none.

    Raises:
        DataFormatError: `about.json` is broken.
    """
    return _stated(place) or (_about_release(source, place) if isinstance(source, Release) else _declared(source.name))


def about_of_folder(source_format: SourceFormat, folder: Path) -> About:
    """Return what `about_of_source` returns for a folder that is not in the layout of the release, without opening it.

    Raises:
        DataFormatError: `about.json` is broken.
    """
    return _stated(folder) or source_format.about


def _stated(place: Path | None) -> About | None:
    if place is None or not (place / ABOUT).is_file():
        return None
    try:
        return read_about(place)
    except (ValueError, TypeError) as error:
        raise DataFormatError(f"{place / ABOUT}: not title, licence and origin ({error}); remove it") from None


def _declared(name: str) -> About:
    return FORMATS[name].about if name in FORMATS else OWN_DATA


def _about_release(release: Release, place: Path | None) -> About:
    stems = [path.stem for split in release.counts for path in release.images(split)]
    if stems and all(_SYNTHETIC_STEM.fullmatch(stem) for stem in stems):
        return SYNTHETIC
    is_official = place is not None and _comes_from_hub(place.resolve())
    return OFFICIAL if is_official or dict(release.counts) == PUBLISHED else OWN_DATA


def _comes_from_hub(folder: Path) -> bool:
    if f"datasets--{HUB_ID.replace('/', '--')}" in folder.parts:
        return True
    downloaded = recorded_folder(folder)
    return downloaded is not None and read_record(downloaded)["repository"] == HUB_ID


def is_official(counts: Mapping[str, int], about: About | None) -> bool:
    """Tell whether a set is the official release, so that its published numbers say something about it.

    It is if its origin says so; else if its numbers of samples are near the published ones, as when files are missing.

    Args:
        counts: number of samples by split.
        about: title, licence and origin of the set; None if unknown.
    """
    if about is not None and about.title == OFFICIAL.title:
        return True
    return all(abs(counts.get(split, 0) - count) <= _NEAR * count for split, count in PUBLISHED.items())
