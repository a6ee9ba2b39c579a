"""Compare our SegEarth-R1 training step with the same step done as in the reference code.

    python benchmarks/train_step.py                          reduced size, CPU
    python benchmarks/train_step.py --size full --device cuda --batch 2 --dtype bfloat16

benchmarks/ways.py describes the reference way. Both use the same random weights, so the losses must agree. Each way
runs in its own process; batches repeat.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from baselines.common.devices import DTYPES
from benchmarks.segearth_r1 import read_arguments
from benchmarks.ways import loss_as_reference, loss_ours, make_model, make_training_batch


def measure(way: str, size: str, device: str, dtype: str, batch: int, repeats: int) -> dict[str, float]:
    model = make_model(size, device, torch.float32, keeps_maps=way == "reference").train()
    model.vision_tower.requires_grad_(False)
    inputs = make_training_batch(model.config, batch, device)
    trained = [p for p in model.parameters() if p.requires_grad]
    fused = {"fused": True} if way == "ours" else {"foreach": False, "fused": False}
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0, **fused)
    compute, cuda = (loss_ours if way == "ours" else loss_as_reference), device.startswith("cuda")
    autocast = nullcontext() if dtype == "float32" else torch.autocast(torch.device(device).type, DTYPES[dtype])

    def step() -> float:
        torch.manual_seed(1)
        with autocast:
            loss = compute(model, inputs)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    first = step()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        step()
        if cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    peak = torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": float(np.median(times)), "peak": peak / 2**20, "loss": first}


def main() -> None:
    a = read_arguments(__doc__)
    if a.way:
        print(json.dumps(measure(a.way, a.size, a.device, a.dtype, a.batch, a.repeats)))
        return
    print(f"{a.size} size, batch {a.batch}, {a.device}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{'way':12s} {'samples/s':>9s} {'times':>6s} {'peak MiB':>9s} {'of ref.':>8s} {'first loss':>11s}")
    reference: dict[str, float] = {}
    for way in ("reference", "ours"):
        asked = {
            "way": way,
            "size": a.size,
            "device": a.device,
            "dtype": a.dtype,
            "batch": a.batch,
            "repeats": a.repeats,
        }
        options = [part for name, value in asked.items() for part in (f"--{name}", str(value))]
        command = [sys.executable, __file__, *options]
        measured = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        reference = reference or measured
        print(
            f"{way:12s} {a.batch / measured['seconds']:9.3f} {reference['seconds'] / measured['seconds']:6.2f} "
            f"{measured['peak']:9.0f} {measured['peak'] / reference['peak']:8.2f} {measured['loss']:11.5f}"
        )


if __name__ == "__main__":
    main()
