"""Which files of a folder belong to a checkpoint, or to an exported model, that is pushed to or pulled from the Hub."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.files import is_system_name

from ..registry import trainable_models
from .runtime import read_facts

CONFIG, EXPORT, CARD = "config.json", "export.json", "README.md"
WEIGHTS = "model*.safetensors"
_OF_BOTH = r"README\.md|LICENSE(\.\w+)?|NOTICE(\.\w+)?|tokenizer\.json"
_OF_CHECKPOINT = re.compile(
    rf"{_OF_BOTH}|config\.json|generation_config\.json|run\.json|training(-\d+)?\.yaml|model(\.int8)?\.safetensors"
    r"|model-\d+-of-\d+\.safetensors|model\.safetensors\.index\.json|tokenizer\.model|tokenizer_config\.json"
    r"|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|chat_template\.(jinja|json)"
)
_OF_EXPORT = re.compile(rf"{_OF_BOTH}|export\.json|ask\.py|model\.(pt2|onnx|onnx\.data)")
_LEFT_OUT = ("__pycache__", ".git", ".gitattributes", ".cache", ".DS_Store")
_STATES = re.compile(r"step-\d+|checkpoint-\d+|(state|optimizer|scheduler|rng_state.*|training_args)\.(pt|pth|bin)")
_SECRET = re.compile(rb"\bhf_[A-Za-z0-9]{30,}|\bsk-[A-Za-z0-9_-]{32,}|-----BEGIN [A-Z ]*PRIVATE KEY-----")
_TEXTS = (".json", ".yaml", ".md", ".txt", ".py", ".jinja")


def belongs(name: str, is_export: bool) -> bool:
    """Return whether a file of this name is part of a checkpoint, or of an exported model."""
    return bool((_OF_EXPORT if is_export else _OF_CHECKPOINT).fullmatch(name))


def files_to_push(folder: Path) -> list[str]:
    """List the files of a checkpoint or exported model, and refuse a folder that holds anything else.

    Raises:
        EarthReasonError: the folder is missing, incomplete or that of a run, or a file is no part of a checkpoint or
            has a secret.
    """
    if not folder.is_dir():
        raise DataNotFoundError(f"there is no folder {folder}")
    is_export = (folder / EXPORT).is_file()
    if not is_export and (folder / "final" / CONFIG).is_file():
        raise EarthReasonError(f"{folder} is the folder of a run; push the model in it: {folder / 'final'}")
    read_kind(folder)
    found = [path for path in sorted(folder.iterdir()) if path.name not in _LEFT_OUT]
    for path in found:
        if not (path.is_file() and belongs(path.name, is_export)):
            raise EarthReasonError(f"{path}: {_reason(path)}; move it out of the folder, nothing was pushed")
        if path.suffix in _TEXTS and (secret := _SECRET.search(path.read_bytes())):
            begin = secret[0][:6].decode("ascii")
            raise EarthReasonError(f"{path} has what looks like a secret ({begin}...); remove it, nothing was pushed")
    names = [path.name for path in found]
    if is_export:
        read_facts(folder)
    elif not any(name.endswith(".safetensors") for name in names):
        raise DataNotFoundError(f"{folder} has no weights ({WEIGHTS}); give the folder of a checkpoint")
    return names


def _reason(path: Path) -> str:
    if _STATES.fullmatch(path.name):
        return "is a state of training to resume from, not of the model"
    if path.name.startswith(".") or is_system_name(path.name):
        return "is a hidden file, which may hold secrets"
    if path.suffix in (".bin", ".pt", ".pth", ".pkl"):
        return "is a pickle, which can run code; weights are in safetensors here"
    return "is no file of a checkpoint"


def read_kind(folder: Path) -> str:
    """Return the name of the model in a folder: that of its `export.json` or its `config.json`.

    Raises:
        DataNotFoundError: the folder has neither.
        DataFormatError: it holds another model than those of this package.
    """
    if (folder / EXPORT).is_file():
        return kind_of(folder / EXPORT, str(folder))
    if (folder / CONFIG).is_file():
        return kind_of(folder / CONFIG, str(folder))
    raise DataNotFoundError(f"{folder} has no {CONFIG}; give the folder of a checkpoint, or one that `export` wrote")


def kind_of(path: Path, where: str) -> str:
    """Return the name of the model that a `config.json` or `export.json` states; `where` begins the error.

    Raises:
        DataFormatError: it states none of this package.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        stated = str(content["model" if path.name == EXPORT else "model_type"])
    except (ValueError, KeyError, TypeError):
        raise DataFormatError(f"{where}: its {path.name} does not name a model") from None
    name = stated.removeprefix("earthreason_")
    if name not in trainable_models():
        raise DataFormatError(f"{where} holds a {stated} model; models here are {', '.join(trainable_models())}")
    return name


def files_of_export(folder: Path) -> list[str]:
    """Return the names of the files that a folder's `export.json` names; none where there is no `export.json`.

    Raises:
        DataFormatError: it does not name its files.
    """
    path = folder / EXPORT
    if not path.is_file():
        return []
    try:
        return list(map(str, json.loads(path.read_text(encoding="utf-8"))["files"]))
    except (ValueError, KeyError, TypeError):
        raise DataFormatError(f"{path.name} does not name the files of an export; export and push again") from None


def wanted_files(names: Iterable[str]) -> list[str]:
    """Return the names of a repository's files that belong to its checkpoint or exported model."""
    names = list(names)
    return [name for name in names if belongs(name, EXPORT in names)]
