"""Record the machine and its software, and measure the ceilings that other figures are compared with."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import torch

from benchmarks.gpu.context import Context, read_context
from benchmarks.gpu.timing import median_ms

CEILINGS = "ceilings.json"
"""File with the TFLOP/s of matrix products by dtype, for later steps."""


def main(context: Context) -> None:
    cuda = context.device == "cuda"
    context.row(
        **{name: _version(name) for name in ("torch", "triton", "transformers", "accelerate", "numpy", "datasets")},
        python=platform.python_version(),
        cuda=torch.version.cuda,
        cpus=os.cpu_count(),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        **(_card() if cuda and torch.cuda.is_available() else {}),
    )
    if cuda and not torch.cuda.is_available():
        sys.exit(f"torch {torch.__version__} sees no CUDA device here")
    side = 8192 if cuda else 256
    ceilings = {}
    for name, dtype, tf32 in (
        ("bfloat16", torch.bfloat16, False),
        ("float16", torch.float16, False),
        ("tf32", torch.float32, True),
        ("float32", torch.float32, False),
    ):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a, b = (torch.randn(side, side, device=context.device).to(dtype) for _ in range(2))
        ceilings[name] = 2 * side**3 / median_ms(lambda a=a, b=b: a @ b, cuda, repeats=10) / 1e9
        context.row(ceiling="matrix product", dtype=name, tflops=round(ceilings[name], 3))
    (context.work / CEILINGS).write_text(json.dumps(ceilings))
    source = torch.empty(2**30 if cuda else 2**24, dtype=torch.uint8, device=context.device).random_()
    target = torch.empty_like(source)
    milliseconds = median_ms(lambda: target.copy_(source), cuda, repeats=10)
    context.row(ceiling="copy", gb_per_s=round(2 * source.numel() / milliseconds / 1e6, 1))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _card() -> dict[str, object]:
    properties = torch.cuda.get_device_properties(0)
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip() or None
    except OSError:
        driver = None
    return {"gpu": properties.name, "gpu_memory_gib": round(properties.total_memory / 2**30, 1), "driver": driver}


if __name__ == "__main__":
    main(read_context())
