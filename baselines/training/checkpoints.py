"""Checkpoints that appear whole or not at all."""

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

logger = logging.getLogger("earthreason.training")
_NAME = re.compile(r"step-(\d{7})")


def save_state(folder: Path, step: int, state: dict[str, Any], facts: dict[str, Any], keep: int) -> Path:
    """Write `folder/step-NNNNNNN`, then remove the oldest beyond `keep`; a full disk leaves the earlier ones."""
    target = folder / f"step-{step:07d}"
    with atomic_path(target) as temporary:
        temporary.mkdir()
        torch.save(state, temporary / "state.pt")
        (temporary / "facts.json").write_text(json.dumps({"step": step, **facts}, indent=2))
    for old in list_states(folder)[:-keep]:
        shutil.rmtree(old)
    return target


def list_states(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    found = [path for path in folder.glob("step-*") if _NAME.fullmatch(path.name) and (path / "facts.json").is_file()]
    return sorted(found)


def refuse_other(path: Path, before: dict[str, Any], identity: dict[str, Any]) -> None:
    """Refuse what another run left.

    Args:
        path: where it lies.
        before: settings of that run, more than those of `identity` or not.
        identity: settings that a run keeps from its first to its last step.

    Raises:
        EarthReasonError: names the settings that differ.
    """
    changed = sorted(key for key in identity if before.get(key) != identity[key])
    if changed:
        raise EarthReasonError(
            f"{path} is of a run with another {', '.join(changed)}; use another --out, or that run's settings"
        )


def load_latest(folder: Path, identity: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """State and facts (`step` among them) of the newest checkpoint, None if there is none.

    Raises:
        EarthReasonError: it is of a run with other settings; says which.
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
            f"{states[-1]}: damaged ({type(error).__name__}); delete it to go on from the one before"
        ) from None
    logger.info("going on from %s", states[-1])
    return state, dict(facts)
