"""Measure speed and peak memory of inference at full size, for the reference and ours, and our costliest kernels.

Both have the same random weights, so their mean logits must agree.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from baselines.common.devices import DTYPES
from baselines.segearth_r1.modeling import SegEarthR1Model
from benchmarks.gpu.context import Context, read_context
from benchmarks.gpu.steps.environment import CEILINGS
from benchmarks.gpu.timing import median_ms, peak_mib, reset_peak, weights_mib
from benchmarks.ways import Inputs, infer_as_reference, infer_ours, keep_maps, make_batch, make_model


@dataclass(frozen=True)
class Case:
    """Cases measured together; `graphs` replays the kernels of our implementation as one CUDA graph."""

    dtype: str
    batches: tuple[int, ...]
    ways: tuple[str, ...] = ("reference", "ours")


CASES = (
    Case("bfloat16", (8,), ("reference", "ours", "graphs")),
    Case("float32", (8,)),
    Case("tf32", (8,)),
    Case("bfloat16", (1, 16), ("reference", "ours", "graphs")),
    Case("float32", (1, 16)),
    Case("tf32", (1, 16)),
)
TOY = (Case("bfloat16", (2,), ("reference", "ours", "graphs")), Case("tf32", (1,)))


def main(context: Context) -> None:
    model = make_model(*size_of(context), torch.bfloat16, keeps_maps=False)  # other precisions hold the same values
    ceilings, flops = read_ceilings(context), dict[str, float]()
    profiled = False
    for case in TOY if context.toy else CASES:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = case.dtype == "tf32"
        model.to(DTYPES.get(case.dtype, torch.float32))
        for way in case.ways if context.device == "cuda" else case.ways[:2]:
            keep_maps(model, way == "reference")
            if way not in flops:
                flops[way] = count_flops(model, make_batch(model.config, 1, way == "reference", context.device), way)
            for batch in case.batches:
                _measure(context, model, way, case.dtype, batch, flops[way], ceilings.get(case.dtype))
            if way == "ours" and not profiled:
                _name_backends(context, model)
                _profile(context, model, f"ours, {case.dtype}, batch {case.batches[0]}", case.batches[0])
                profiled = True


def _name_backends(context: Context, model: SegEarthR1Model) -> None:
    """Record which kernel PyTorch chooses for each kind of attention in a batch of two."""
    from torch.nn.attention import SDPBackend

    fused, chosen = F.scaled_dot_product_attention, Counter[tuple[str, str, str]]()

    def record(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, *args: Any, **options: Any) -> Tensor:
        given = {name: options[name] for name in ("is_causal", "scale", "enable_gqa") if name in options}
        backend = SDPBackend(torch._fused_sdp_choice(q, k, v, attn_mask, *args, **given)).name
        mask = "none" if attn_mask is None else f"{tuple(attn_mask.shape)} {str(attn_mask.dtype)[6:]}"
        chosen[f"{tuple(q.shape)} to {k.shape[-2]}", mask, backend] += 1
        return fused(q, k, v, attn_mask, *args, **options)

    F.scaled_dot_product_attention = record
    try:
        with torch.inference_mode():
            infer_ours(model, make_batch(model.config, 2, reply=False, device=context.device))
    finally:
        F.scaled_dot_product_attention = fused
    for (shape, mask, backend), count in chosen.items():
        context.row(attention=shape, mask=mask, backend=backend, calls=count, dtype=str(model.dtype)[6:])


def size_of(context: Context) -> tuple[str, str]:
    """Return the size and the device of the model."""
    return "toy" if context.toy else "full", context.device


def read_ceilings(context: Context) -> dict[str, float]:
    """Read the TFLOP/s of matrix products by dtype that `environment` measured; empty if it did not."""
    path = context.work / CEILINGS
    return json.loads(path.read_text()) if path.is_file() else {}


def _measure(
    context: Context,
    model: SegEarthR1Model,
    way: str,
    dtype: str,
    batch: int,
    flops: float,
    ceiling: float | None,
) -> None:
    cuda = context.device == "cuda"
    facts = {"way": way, "dtype": dtype, "batch": batch}
    try:
        inputs = make_batch(model.config, batch, reply=way == "reference", device=context.device)
        act = partial(infer_as_reference if way == "reference" else infer_ours, model, inputs)
        reset_peak(cuda)
        with torch.inference_mode():
            mean = float(act().float().mean())
            timed = _capture(model, inputs) if way == "graphs" else act
            milliseconds = median_ms(timed, cuda)
            peak = peak_mib(cuda)
    except torch.OutOfMemoryError:
        context.row(**facts, error="out of memory")
        return
    context.row(
        **facts,
        mean_logit=round(mean, 5),
        **speed_of(milliseconds, batch, flops, ceiling),
        peak_mib=peak and round(peak),
        weights_mib=round(weights_mib(model)),
    )


def speed_of(milliseconds: float, batch: int, flops: float, ceiling: float | None) -> dict[str, float | None]:
    """Compute images per second, operations per second, and their share of the ceiling from a time.

    Args:
        milliseconds: time of a batch.
        batch: number of images in the batch.
        flops: floating-point operations for an image.
        ceiling: TFLOP/s of a large matrix product, if known.
    """
    rate = flops * batch / milliseconds / 1e9
    return {
        "ms": round(milliseconds, 3),
        "images_per_s": round(1000 * batch / milliseconds, 2),
        "gflop_per_image": round(flops / 1e9, 1),
        "tflops": round(rate, 2),
        "share_of_ceiling": round(rate / ceiling, 4) if ceiling else None,
    }


def count_flops(model: SegEarthR1Model, inputs: Inputs, way: str) -> float:
    """Count the floating-point operations of a batch, which must hold one image."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        (infer_as_reference if way == "reference" else infer_ours)(model, inputs)
    return counter.get_total_flops()


def _capture(model: SegEarthR1Model, inputs: Inputs):  # noqa: ANN202
    """Capture our implementation as a CUDA graph; return the function that replays it."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        infer_ours(model, inputs)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        infer_ours(model, inputs)
    return graph.replay


def _profile(context: Context, model: SegEarthR1Model, case: str, batch: int) -> None:
    from torch.profiler import ProfilerActivity, profile

    inputs = make_batch(model.config, batch, reply=False, device=context.device)
    cuda = context.device == "cuda"
    kinds = [ProfilerActivity.CPU, ProfilerActivity.CUDA] if cuda else [ProfilerActivity.CPU]
    with torch.inference_mode(), profile(activities=kinds) as profiler:
        infer_ours(model, inputs)
        if cuda:
            torch.cuda.synchronize()
    events = profiler.key_averages()
    if cuda:
        events = [event for event in events if event.device_type == torch.autograd.DeviceType.CUDA]

    def spent(event) -> float:  # noqa: ANN001
        return event.self_device_time_total if cuda else event.self_cpu_time_total

    total = sum(map(spent, events))
    for event in sorted(events, key=spent, reverse=True)[:10]:
        context.row(
            kernel=event.key[:90],
            ms=round(spent(event) / 1000, 3),
            calls=event.count,
            share=round(spent(event) / total, 4),
            of=case,
        )


if __name__ == "__main__":
    main(read_context())
