"""A checkpoint that tests can load in a moment."""

from pathlib import Path

from baselines.segearth_r1.tiny import make_tiny


def save_tiny(folder: Path) -> Path:
    """Write a `mini` SegEarth-R1 with random weights to `folder`."""
    for part in make_tiny():
        part.save_pretrained(folder)
    return folder
