"""Measure verify, load and export on a fake release with as many samples as the official one.

python benchmarks/release_scale.py --folder /tmp/scale               5,434 samples of 512 px
python benchmarks/release_scale.py --folder /tmp/trial --share 0.01  a trial

The release is made once and kept in the folder; its pictures are smooth colours, so their files are small.
Every step is a process of its own; the memory is the peak of its largest process. The processor time is there because
other programs on the machine disturb the seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from earthreason.data.exports import FORMATS
from earthreason.data.sources.base import ON_DISK
from earthreason.data.sources.release import PUBLISHED, PUBLISHED_EMPTY
from earthreason.files import atomic_path

ROOT = Path(__file__).resolve().parent.parent
LOAD = """
import sys
from earthreason import load_dataset
print({name: len(rows) for name, rows in load_dataset("earthreason", data_dir=sys.argv[1]).items()})
"""


def make_release(folder: Path, share: float, side: int) -> None:
    """Write pictures, masks and questions in the layout of the release; one sample of 27 has no target."""
    rng = np.random.default_rng(0)
    every = sum(PUBLISHED.values()) // PUBLISHED_EMPTY
    with atomic_path(folder) as release:
        for split, published in PUBLISHED.items():
            root = release / ON_DISK[split]
            for part in ("images", "labels", "QAs"):
                (root / part).mkdir(parents=True)
            for number in range(max(1, round(share * published))):
                stem = f"{ON_DISK[split]}_{number:05d}"
                coarse = Image.fromarray(rng.integers(0, 255, (24, 24, 3), dtype=np.uint8))
                coarse.resize((side, side), Image.Resampling.BICUBIC).save(root / "images" / f"{stem}.jpg", quality=92)
                mask = np.zeros((side, side), np.uint8)
                is_empty = number % every == 0
                if not is_empty:
                    (top, bottom), (left, right) = np.sort(rng.integers(0, side, (2, 2)), axis=1)
                    mask[top : bottom + 1, left : right + 1] = 255
                Image.fromarray(mask).save(root / "labels" / f"{stem}.png")
                words = [" ".join(map(str, rng.integers(0, 10_000, 12))) for _ in range(9)]
                qa = {
                    "questions": [f"Where is {text}?" for text in words[:6]],
                    "answer": [] if is_empty else words[6:],
                }
                (root / "QAs" / f"{stem}.json").write_text(json.dumps(qa))


def measure(arguments: list[str], cache: Path) -> tuple[float, float, float]:
    """Run Python; return its seconds of wall time and of processor time, and its peak memory in MB."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(cache), "HF_HUB_OFFLINE": "1"}
    began = time.perf_counter()
    with (cache / "output.txt").open("wb") as output:
        process = subprocess.Popen([sys.executable, *arguments], stdout=output, stderr=output, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(arguments)} failed: {(cache / 'output.txt').read_text()[-2000:]}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="folder for the release, kept for the next run")
    parser.add_argument("--share", type=float, default=1.0, help="share of the published number of samples")
    parser.add_argument("--side", type=int, default=512, help="side of the pictures in pixels")
    parser.add_argument("--workers", type=int, default=1, help="processes of verify")
    options = parser.parse_args()
    release = options.folder / f"release-{options.share:g}-{options.side}"
    if not release.is_dir():
        make_release(release, options.share, options.side)
    scratch = options.folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    cache = scratch / "cache"
    cache.mkdir(parents=True)
    command = ["-m", "earthreason"]
    steps = {
        "verify": [
            *command,
            "verify",
            str(release),
            "--workers",
            str(options.workers),
            "--json",
            str(scratch / "v.json"),
        ],
        "load, first": ["-c", LOAD, str(release)],
        "load, second": ["-c", LOAD, str(release)],
        **{
            f"export, {form}": [*command, "export", str(release), "--format", form, "--out", str(scratch / form)]
            for form in FORMATS
        },
    }
    total = sum(path.stat().st_size for path in release.rglob("*") if path.is_file())
    samples = len(list(release.glob("*/images/*")))
    print(f"{samples:,} samples of {options.side} px, {total / 1e6:.0f} MB\n")
    print("| step | seconds | processor seconds | peak memory, MB |\n|---|---|---|---|")
    for name, arguments in steps.items():
        seconds, processor, memory = measure(arguments, cache)
        print(f"| {name} | {seconds:.1f} | {processor:.1f} | {memory:.0f} |", flush=True)
    shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
