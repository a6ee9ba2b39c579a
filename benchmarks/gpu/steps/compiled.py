"""Measure inference at full size with torch.compile, in one graph without breaks."""

from __future__ import annotations

import time
from functools import partial

import torch

from baselines.common.devices import DTYPES
from benchmarks.gpu.context import Context, read_context
from benchmarks.gpu.steps.inference import count_flops, read_ceilings, size_of, speed_of
from benchmarks.gpu.timing import median_ms, peak_mib, reset_peak, weights_mib
from benchmarks.ways import infer_ours, make_batch, make_model


def main(context: Context) -> None:
    cuda, batch = context.device == "cuda", 2 if context.toy else 8
    # Compiling kernels for a CPU takes minutes, so a rehearsal only captures the graph.
    backend = "inductor" if cuda else "eager"
    model = make_model(*size_of(context), DTYPES["bfloat16"], keeps_maps=False)
    inputs = make_batch(model.config, batch, reply=False, device=context.device)
    act = partial(torch.compile(infer_ours, fullgraph=True, backend=backend), model, inputs)
    with torch.inference_mode():
        expected = infer_ours(model, inputs).float()
        flops = count_flops(model, make_batch(model.config, 1, False, context.device), "ours")
        reset_peak(cuda)
        began = time.perf_counter()
        logits = act().float()
        seconds = time.perf_counter() - began
        cosine = torch.nn.functional.cosine_similarity(logits.flatten(), expected.flatten(), dim=0)
        milliseconds = median_ms(act, cuda)
        context.row(
            way="compiled",
            dtype="bfloat16",
            batch=batch,
            compile_s=round(seconds, 1),
            cosine=round(float(cosine), 5),
            mean_logit=round(float(logits.mean()), 5),
            **speed_of(milliseconds, batch, flops, read_ceilings(context).get("bfloat16")),
            peak_mib=peak_mib(cuda) and round(peak_mib(cuda)),
            weights_mib=round(weights_mib(model)),
        )


if __name__ == "__main__":
    main(read_context())
