"""Write parquet files with a dataset card and Croissant metadata."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path

from earthreason.data.about import About
from earthreason.data.croissant import describe
from earthreason.data.prepared import write_prepared
from earthreason.data.sources import Source
from earthreason.data.sources.base import omissions_of
from earthreason.data.writers.base import register
from earthreason.files import write_json
from earthreason.installing import install_command

_log = logging.getLogger(__name__)


@register("parquet")
def write(source: Source, folder: Path, about: About) -> None:
    """Write `data/SPLIT-*.parquet`, `README.md` and `croissant.json`."""
    splits = {split: source.read(split) for split in source.counts}
    write_prepared(folder, "default", splits, source.counts, about=about, omissions=omissions_of(source))
    if find_spec("mlcroissant") is None:
        remedy = install_command("earthreason[croissant]")
        _log.warning("%s has no croissant.json, because mlcroissant is not installed: %s", folder.name, remedy)
    else:
        write_json(folder / "croissant.json", describe(folder, about))
