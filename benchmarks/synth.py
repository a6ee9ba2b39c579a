"""Measure synthetic scenes per second on one and two cores, with drawing, questions, and JPEG and PNG encoding.

python benchmarks/synth.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from earthreason.synthetic import write_release

SCENES = 112


def main() -> None:
    print(f"{'pixels':>8s} {'workers':>8s} {'scenes per second':>18s}")
    for side in (256, 512, 1024):
        for workers in (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                write_release(Path(folder) / "set", SCENES, seed=1, workers=workers, size=(side, side))
                print(f"{side:8d} {workers:8d} {SCENES / (time.perf_counter() - began):18.1f}")


if __name__ == "__main__":
    main()
