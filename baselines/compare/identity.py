"""Tell which run a folder holds, so that the scores of another one never stand in a comparison."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthreason.data.checksums import sha256_of
from earthreason.errors import EarthReasonError
from earthreason.files import write_json

from ..common.languages import Texts
from ..training.config import TrainConfig
from ..training.learner import build_learner

if TYPE_CHECKING:
    from datasets import Dataset

Identity = dict[str, Any]
"""What a run's scores depend on, by dotted key, as JSON values."""
IDENTITY = "identity.json"
"""Name of the file with the identity of the run in its folder, written before training."""
_NEUTRAL = {
    "name",
    "workers",
    "log_every",
    "save_every",
    "pictures_every",
    "keep",
    "trackers",
    "data.data_dir",  # the content of the data counts, not its place
}
"""Settings that change no weight and no score."""
_SHOWN = 3


def settings_of(config: TrainConfig) -> Identity:
    """List the settings of a training run that change its weights or its validation, by dotted key."""
    flat = _flatten(config.model_dump(mode="json"))
    return {key: value for key, value in flat.items() if key not in _NEUTRAL}


def _flatten(values: Mapping[str, Any], place: str = "") -> Identity:
    flat: Identity = {}
    for key, value in values.items():
        flat |= _flatten(value, f"{place}{key}.") if isinstance(value, dict) else {f"{place}{key}": value}
    return flat


def identify_model(config: TrainConfig, texts: Texts) -> Identity:
    """Identify what the settings of a run only name: the model that a `size` stands for, and files it starts from.

    Args:
        config: configuration of the run.
        texts: function that returns the training texts, for learned tokenizers.

    Returns:
        `architecture`, a hash of the model's configuration and of names and shapes of its weights, and a hash for each
        local folder that weights come from.

    Raises:
        EarthReasonError: the model cannot be built.
    """
    model = build_learner(config, texts).model
    made = {key: value for key, value in model.config.to_dict().items() if key != "transformers_version"}
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    architecture = json.dumps([made, shapes], sort_keys=True, default=str)
    sources = {key: getattr(config.model, key) for key in ("checkpoint", "vision", "language_model")}
    folders = {key: Path(source) for key, source in sources.items() if source and Path(source).is_dir()}
    return {
        "architecture": hashlib.sha256(architecture.encode()).hexdigest(),
        **{f"files of model.{key}": hash_folder(folder) for key, folder in folders.items()},
    }


def hash_rows(rows: Dataset) -> str:
    """Hash the content of all rows and columns, images as stored; SHA-256 in hexadecimal digits."""
    digest = hashlib.sha256()
    for batch in rows.with_format("arrow").iter(batch_size=64):
        for row in batch.to_pylist():
            _feed(digest, row)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    """Feed a nested value to a hash, each part behind its length; each column holds a single kind."""
    if isinstance(value, dict):
        value = [part for item in sorted(value.items()) for part in item]
    if isinstance(value, list):
        digest.update(b"[%d]" % len(value))
        for part in value:
            _feed(digest, part)
        return
    content = value if isinstance(value, bytes) else repr(value).encode()
    digest.update(b"%d:" % len(content))
    digest.update(content)


def hash_folder(folder: Path) -> str:
    """Hash names and content of the files directly in the folder of a model; SHA-256 in hexadecimal digits.

    Raises:
        EarthReasonError: there is no such folder.
    """
    if not folder.is_dir():
        raise EarthReasonError(f"there is no model in {folder}; remove {folder.parent} to train it again")
    files = sorted(path for path in folder.iterdir() if path.is_file())
    listed = [f"{path.name} {sha256_of(path)}\n" for path in files]
    return hashlib.sha256("".join(listed).encode()).hexdigest()


def refuse_other_run(folder: Path, identity: Identity) -> None:
    """Refuse a folder that holds another run, or files of unknown origin; an absent or empty one is free.

    Raises:
        EarthReasonError: the message names the keys that differ, with both values, and says what to do.
    """
    path = folder / IDENTITY
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    remedy = "use another --out, or remove that folder"
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise EarthReasonError(f"{folder} has no {IDENTITY} that says what it was made from; {remedy}") from None
    changed = [key for key in {**before, **identity} if before.get(key) != identity.get(key)]
    if changed:
        parts = [f"{key} {_short(before.get(key))} instead of {_short(identity.get(key))}" for key in changed[:_SHOWN]]
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise EarthReasonError(f"{folder} is another run: it has {', '.join(parts)}{more}; {remedy}")


def _short(value: Any) -> str:
    """Show a value; of a hash, its beginning."""
    return value[:12] if isinstance(value, str) and len(value) == 64 else json.dumps(value)


def claim_folder(folder: Path, identity: Identity) -> None:
    """Write the identity of a run into its folder, which it begins or continues.

    Raises:
        EarthReasonError: as for `refuse_other_run`.
    """
    refuse_other_run(folder, identity)
    write_json(folder / IDENTITY, identity)
