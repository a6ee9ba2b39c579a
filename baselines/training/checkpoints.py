"""Checkpoints of a run, written atomically."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import torch

from earthreason.errors import EarthReasonError
from earthreason.files import atomic_path

from .config import TrainConfig

logger = logging.getLogger("earthreason.training")
_NAME = re.compile(r"step-(\d{7})")


def save_state(folder: Path, step: int, state: dict[str, Any], facts: dict[str, Any], keep: int) -> Path:
    """Write `folder/step-NNNNNNN`, then remove all but the newest `keep`; a full disk leaves earlier ones intact."""
    target = folder / f"step-{step:07d}"
    with atomic_path(target) as temporary:
        temporary.mkdir()
        torch.save(state, temporary / "state.pt")
        (temporary / "facts.json").write_text(json.dumps({"step": step, **facts}, indent=2))
    for old in list_states(folder)[:-keep]:
        shutil.rmtree(old)
    return target


def list_states(folder: Path) -> list[Path]:
    """List the complete checkpoints, oldest first."""
    folders = [path for path in folder.glob("step-*") if _NAME.fullmatch(path.name) and (path / "facts.json").is_file()]
    return sorted(folders)


def identity_of(config: TrainConfig) -> dict[str, Any]:
    """Return the settings that must not change during a run, as JSON values."""
    return config.model_dump(mode="json", include={"seed", "model", "data", "optim"})


def check_folder(config: TrainConfig, out: Path) -> None:
    """Refuse a folder with a run of other settings, even if that has no checkpoint.

    Raises:
        EarthReasonError: settings differ (the message names them), or config.json is not JSON.
    """
    path = out / "config.json"
    if path.is_file():
        try:
            before = json.loads(path.read_text())
        except ValueError:
            raise EarthReasonError(f"{path} is not JSON; use another --out") from None
        refuse_other(path, before, identity_of(config))


def refuse_other(path: Path, before: dict[str, Any], identity: dict[str, Any]) -> None:
    """Refuse files of a run with other settings.

    Args:
        path: file or folder of the earlier run, for the message.
        before: settings of the earlier run.
        identity: settings that must not change during a run.

    Raises:
        EarthReasonError: settings differ; the message names them.
    """
    changed = sorted(key for key in identity if before.get(key) != identity[key])
    if changed:
        raise EarthReasonError(
            f"{path} is of a run with another {', '.join(changed)}; use another --out, or that run's settings"
        )


def load_latest(folder: Path, identity: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Load state and facts (including `step`) of the newest checkpoint; None if there is none.

    Raises:
        EarthReasonError: the checkpoint is damaged, or of a run with other settings.
    """
    states = list_states(folder)
    if not states:
        return None
    facts = json.loads((states[-1] / "facts.json").read_text())
    refuse_other(states[-1], facts.get("identity", {}), identity)
    try:
        state: dict[str, Any] = torch.load(states[-1] / "state.pt", map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds on damaged files
        raise EarthReasonError(
            f"{states[-1]}: damaged ({type(error).__name__}); delete it to resume from the one before"
        ) from None
    logger.info("resuming from %s", states[-1])
    return state, dict(facts)
