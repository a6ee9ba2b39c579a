"""Forward and backward pass of small models as a CUDA graph.

A step of a small model launches thousands of small kernels, which takes the CPU longer than the GPU needs to run them.
A graph is recorded once per batch shape and launched with one call from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .learner import Batch

WARMUPS = 3
"""Passes before recording, in which libraries choose their kernels."""


@dataclass(frozen=True)
class _Recording:
    """A graph and the tensors that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    losses: dict[str, Tensor]
    gradients: list[Tensor | None]


class Replay:
    """Computes losses and gradients of batches, with one recording per batch shape."""

    def __init__(self, model: nn.Module, compute: Callable[[Batch], dict[str, Tensor]], device: torch.device) -> None:
        """Start without recordings.

        Args:
            model: model whose parameters get gradients.
            compute: function that runs forward and backward pass of a batch on the device and returns losses by name.
            device: GPU to run on.
        """
        self.compute, self.device = compute, device
        self.trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.recordings: dict[tuple[tuple[str, tuple[int, ...]], ...], _Recording] = {}

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of a batch, and set the gradients of the parameters to its own."""
        shape = tuple((name, tuple(tensor.shape)) for name, tensor in sorted(batch.items()))
        if shape not in self.recordings:
            self.recordings[shape] = self._record(batch)
        recording = self.recordings[shape]
        for name, tensor in batch.items():
            recording.batch[name].copy_(tensor, non_blocking=True)
        recording.graph.replay()
        for parameter, gradient in zip(self.trained, recording.gradients, strict=True):
            parameter.grad = gradient
        return {name: value.clone() for name, value in recording.losses.items()}

    def _record(self, batch: Batch) -> _Recording:
        kept = {name: tensor.to(self.device) for name, tensor in batch.items()}
        state = torch.cuda.get_rng_state(self.device)
        aside = torch.cuda.Stream(self.device)
        aside.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(aside):
            for _ in range(WARMUPS):
                self._forget()
                self.compute(kept)
        torch.cuda.current_stream(self.device).wait_stream(aside)
        self._forget()
        graph = torch.cuda.CUDAGraph()
        # Another thread may pin memory for later batches meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            losses = self.compute(kept)
        torch.cuda.set_rng_state(state, self.device)
        return _Recording(graph, kept, losses, [parameter.grad for parameter in self.trained])

    def _forget(self) -> None:
        for parameter in self.trained:
            parameter.grad = None
