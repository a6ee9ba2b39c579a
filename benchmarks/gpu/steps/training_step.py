"""Measure a training step at full size in bf16 autocast, for the reference and ours, with and without checkpointing.

The vision tower is frozen, as in the paper. `state` is the part of the peak that stays between steps: weights,
gradients and the optimizer's moments. The rest is what the step itself needs.
"""

from __future__ import annotations

import torch

from benchmarks.gpu.context import Context, read_context
from benchmarks.gpu.steps.inference import size_of
from benchmarks.gpu.timing import median_ms, peak_mib, reset_peak
from benchmarks.ways import keep_maps, loss_as_reference, loss_ours, make_model, make_training_batch


def main(context: Context) -> None:
    model = make_model(*size_of(context), torch.float32, keeps_maps=False).train()
    model.vision_tower.requires_grad_(False)
    trained = [p for p in model.parameters() if p.requires_grad]
    for checkpointing in (False, True):
        for way in ("ours", "reference"):
            keep_maps(model, way == "reference")
            fused = {"fused": True} if way == "ours" else {"foreach": False, "fused": False}
            optimizer = torch.optim.AdamW(trained, lr=1e-9, weight_decay=0.0, **fused)  # the weights stay the same
            for batch in (2,) if context.toy else (8, 2):
                _measure(context, way, model, optimizer, batch, checkpointing)
            del optimizer
            reset_peak(context.device == "cuda")


def _measure(
    context: Context, way: str, model: torch.nn.Module, optimizer: torch.optim.Optimizer, batch: int, again: bool
) -> None:
    cuda = context.device == "cuda"
    facts = {"way": way, "dtype": "bfloat16", "batch": batch, "checkpointing": again}
    language = model.language_model
    (language.gradient_checkpointing_enable if again else language.gradient_checkpointing_disable)()
    inputs = make_training_batch(model.config, batch, context.device)
    compute = loss_ours if way == "ours" else loss_as_reference
    losses = []

    def step() -> None:
        torch.manual_seed(1)
        with torch.autocast(context.device, torch.bfloat16):
            loss = compute(model, inputs)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())

    try:
        reset_peak(cuda)
        milliseconds = median_ms(step, cuda, warmups=2, repeats=3)
    except torch.OutOfMemoryError:
        optimizer.zero_grad()
        context.row(**facts, error="out of memory")
        return
    numbers = [p.numel() * p.element_size() for p in model.parameters()]
    moving = [p.numel() * p.element_size() for p in model.parameters() if p.requires_grad]
    state = (sum(numbers) + 3 * sum(moving)) / 2**20  # a gradient and two moments
    peak = peak_mib(cuda)
    context.row(
        **facts,
        ms=round(milliseconds, 2),
        samples_per_s=round(1000 * batch / milliseconds, 3),
        loss=float(losses[0]),
        peak_mib=peak and round(peak),
        state_mib=round(state),
        activations_mib=peak and round(peak - state),
    )


if __name__ == "__main__":
    main(read_context())
