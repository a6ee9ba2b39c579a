"""A shelf of shipped checkpoints for tests: they must not need the weights of the package."""

from pathlib import Path

import pytest

from baselines import checkpoints
from tests.baselines.tiny import save_tiny


def make_shelf(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ship a `mini` SegEarth-R1 with random weights as `tiny` from `folder`; return its folder."""
    monkeypatch.setattr(checkpoints, "FOLDER", folder)
    tiny = save_tiny(folder / "tiny")
    (tiny / "README.md").write_text("A card.\n")
    checkpoints.register_checkpoint(tiny, "segearth_r1", "random weights")
    return tiny
