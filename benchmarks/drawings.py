"""Measure how long it takes to store a drawing beside many, and to send pictures to a Label Studio.

python benchmarks/drawings.py                 # 15,000 drawings stored, one added
python benchmarks/drawings.py --uploads 40    # pictures to a Label Studio of its own, one and four at a time
"""

from __future__ import annotations

import argparse
import socket
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

STORED, REPEATS = 15_000, 5


def store(root: Path) -> None:
    from annotation_tools.drawing import draw
    from annotation_tools.workspace import AnnotationTask, Workspace

    rng = np.random.default_rng(0)
    grid = np.hypot(*(np.mgrid[:512, :512] - 256))
    blob = grid + 40 * rng.random((512, 1)) < 200  # a ragged disk, so its run lengths are as long as a person's
    workspace = Workspace(root)
    workspace.add_tasks(AnnotationTask(f"t{number}", f"t{number}.png", 512, 512) for number in range(STORED))
    model = draw("t0", blob, "pond", annotator="anna", created="2026-01-01T10:00:00Z", key="k")
    workspace.add_drawings(replace(model, task=f"t{number}") for number in range(STORED))
    size = (root / "drawings.jsonl").stat().st_size / 2**20
    times = []
    for number in range(REPEATS):
        began = time.perf_counter()
        workspace.add_drawings([replace(model, annotator=f"p{number}")])
        times.append(time.perf_counter() - began)
    print(f"one drawing beside {STORED:,} ({size:.0f} MiB): median {1e3 * statistics.median(times):.0f} ms")


def uploads(root: Path, count: int) -> None:
    from annotation_tools.imports import import_all
    from annotation_tools.labelstudio import project
    from annotation_tools.labelstudio.client import LabelStudioClient
    from annotation_tools.labelstudio.environment import ensure_program
    from annotation_tools.labelstudio.server import local_server
    from annotation_tools.workspace import Workspace

    pictures = root / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 255, (512, 512, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(pictures / f"p{number:04d}.jpg")
    import_all(root / "work", str(pictures), ())
    workspace = Workspace.open(root / "work")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (
        local_server(ensure_program(), root / "label-studio", "127.0.0.1", port) as running,
        LabelStudioClient(running.url, running.login.token) as client,
    ):
        for together in (1, project.UPLOADS):
            project.UPLOADS = together
            began = time.perf_counter()
            project.push_project(client, workspace, f"{together} at a time")
            print(f"{count} tasks sent, {together} pictures at a time: {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uploads", type=int, help="number of pictures to send")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if chosen.uploads:
            uploads(Path(folder), chosen.uploads)
        else:
            store(Path(folder))
