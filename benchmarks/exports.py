"""Measure an exported checkpoint against PyTorch, in one process and in turn.

Run: OMP_NUM_THREADS=1 python benchmarks/exports.py --checkpoint tiny --threads 1

A row states medians, the median of the ratios of each round, and their quartiles. Only the ratio means something on a
machine that does other work, whose load the first line tells.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import torch

from baselines.common.predictor import MaskPredictor
from baselines.exporting.network import INPUTS, Network
from baselines.exporting.runtime import TracedModel
from baselines.exporting.writing import export_checkpoint, model_of
from baselines.registry import PredictorOptions, build_predictor
from earthreason.data.load import load_dataset
from earthreason.data.schema import sample_of_row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default="tiny")
    parser.add_argument("--rounds", type=int, default=15, help="at least 2")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch; give OMP_NUM_THREADS the same")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    name = model_of(options.checkpoint)
    predictor: MaskPredictor = build_predictor(name, PredictorOptions(checkpoint=options.checkpoint))  # type: ignore[type-arg, assignment]
    network = Network(predictor.model)
    rows = load_dataset("earthreason", "sample", split="test[:8]")
    samples = [sample_of_row(row) for row in rows]
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.threads} threads, torch {torch.__version__}, "
        f"onnxruntime {version('onnxruntime')}"
    )
    print(f"{'format':<13} {'batch':>5} {'export ms':>10} {'torch ms':>9} {'ratio':>6}   per question")
    with tempfile.TemporaryDirectory() as scratch:
        for kind in ("onnx", "torch-export"):
            folder = Path(scratch) / kind
            export_checkpoint(options.checkpoint, folder, kind)
            exported = TracedModel(folder, threads=options.threads)
            for batch in (1, 8):
                part = samples[:batch]
                inputs = exported.prepare([s.image for s in part], [s.questions[0] for s in part])
                tensors = [torch.from_numpy(inputs[name]) for name in INPUTS]
                ours, theirs = [], []
                for _ in range(options.rounds + 2):  # the first two warm up
                    start = time.perf_counter()
                    exported.run(inputs)
                    middle = time.perf_counter()
                    with torch.inference_mode():
                        network(*tensors)
                    ours.append((middle - start) * 1e3 / batch)
                    theirs.append((time.perf_counter() - middle) * 1e3 / batch)
                ratios = statistics.quantiles([a / b for a, b in zip(ours[2:], theirs[2:], strict=True)], n=4)
                print(
                    f"{kind:<13} {batch:>5} {statistics.median(ours[2:]):>10.1f} {statistics.median(theirs[2:]):>9.1f} "
                    f"{ratios[1]:>6.2f}   {ratios[0]:.2f} to {ratios[2]:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
