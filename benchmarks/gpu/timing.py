"""Measure time and memory on a device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch


def median_ms(act: Callable[[], object], cuda: bool, warmups: int = 2, repeats: int = 5) -> float:
    """Return the median milliseconds of a call, by CUDA events on a GPU; warm-up calls do not count."""
    for _ in range(warmups):
        act()
    times = []
    for _ in range(repeats):
        if cuda:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            act()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end))
        else:
            began = time.perf_counter()
            act()
            times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def reset_peak(cuda: bool) -> None:
    """Reset the memory peak, and free cached memory."""
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_mib(cuda: bool) -> float | None:
    """Return the peak MiB of tensors since `reset_peak`; None on a CPU, where PyTorch does not count them."""
    return torch.cuda.max_memory_allocated() / 2**20 if cuda else None


def weights_mib(model: torch.nn.Module) -> float:
    """Return the MiB of a model's parameters."""
    return sum(p.numel() * p.element_size() for p in model.parameters()) / 2**20
