"""Compare our SegEarth-R1 inference with the same computation done as in the reference code.

    python benchmarks/segearth_r1.py                          reduced size, CPU
    python benchmarks/segearth_r1.py --size full --device cuda --batch 16 --dtype bfloat16

benchmarks/ways.py describes the reference way. Both use the same random weights, so the masks must agree. Each way
runs in its own process, for its own peak memory. `python -m benchmarks.gpu` measures a GPU.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch.utils.flop_counter import FlopCounterMode

from baselines.common.devices import DTYPES
from benchmarks.ways import SIZES, infer_as_reference, infer_ours, make_batch, make_model


def measure(way: str, size: str, device: str, dtype: str, batch: int, repeats: int) -> dict[str, float]:
    model = make_model(size, device, DTYPES[dtype], keeps_maps=way == "reference")
    run = torch.inference_mode()(infer_ours if way == "ours" else infer_as_reference)
    inputs = make_batch(model.config, batch, reply=way == "reference", device=device)
    logits = run(model, inputs)
    cuda = device.startswith("cuda")
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(repeats):
        _wait(cuda)
        began = time.perf_counter()
        run(model, inputs)
        _wait(cuda)
        times.append(time.perf_counter() - began)
    peak = torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    one = {name: tensor[:1] for name, tensor in inputs.items()}
    with FlopCounterMode(display=False) as counter:
        run(model, one)
    return {
        "seconds": min(times),
        "peak": peak / 2**20,
        "flops": counter.get_total_flops(),
        "check": float(logits.float().mean()),
    }


def _wait(cuda: bool) -> None:
    if cuda:
        torch.cuda.synchronize()


def read_arguments(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="reduced")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=list(DTYPES), default="float32")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--way", choices=["ours", "reference"], help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    a = read_arguments(__doc__)
    if a.way:
        print(json.dumps(measure(a.way, a.size, a.device, a.dtype, a.batch, a.repeats)))
        return
    runs = [("reference", "float32"), ("reference", a.dtype), ("ours", a.dtype)]
    print(f"{a.size} size, batch {a.batch}, {a.device}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{'way':12s} {'dtype':9s} {'images/s':>9s} {'times':>6s} {'peak MiB':>9s} {'GFLOP/image':>12s}")
    base = None
    for way, dtype in dict.fromkeys(runs):
        asked = {"way": way, "size": a.size, "device": a.device, "dtype": dtype, "batch": a.batch, "repeats": a.repeats}
        options = [part for name, value in asked.items() for part in (f"--{name}", str(value))]
        command = [sys.executable, __file__, *options]
        measured = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        speed = a.batch / measured["seconds"]
        base = base or speed
        print(
            f"{way:12s} {dtype:9s} {speed:9.2f} {speed / base:6.2f} {measured['peak']:9.0f} "
            f"{measured['flops'] / 1e9:12.1f}   mean logit {measured['check']:.5f}"
        )


if __name__ == "__main__":
    main()
