"""Folders of this package in the cache of `datasets`."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def datasets_cache(cache_dir: Path | None = None) -> Path:
    """Return `cache_dir`, or else the cache of `datasets`, by the rules of its config.py."""
    if cache_dir is not None:
        return cache_dir
    if "datasets" in sys.modules:
        from datasets import config

        return Path(config.HF_DATASETS_CACHE)
    # Importing `datasets` takes longer than scoring.
    home = Path(os.getenv("HF_HOME", Path(os.getenv("XDG_CACHE_HOME", "~/.cache"), "huggingface"))).expanduser()
    return Path(os.getenv("HF_DATASETS_CACHE", home / "datasets"))


def unpacked_root(cache_dir: Path | None = None) -> Path:
    """Return the parent of the folders that archives of users and of the Hub are unpacked into."""
    return datasets_cache(cache_dir) / "earthreason-unpacked"
