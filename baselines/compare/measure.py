"""Measure the size, the FLOPs and the speed of a model."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from earthreason.types import Predictor, Sample

from ..common.predictor import MaskPredictor
from ..training.config import TrainConfig
from ..training.data import StepDataset, order_of
from ..training.learner import build_learner

if TYPE_CHECKING:
    from datasets import Dataset

FEWEST_ROUNDS, SECONDS = 3, 3.0
"""Rounds and time that the speed measurement takes at least."""


def measure_predictor(predictor: Predictor, samples: Sequence[Sample]) -> dict[str, float]:
    """Measure a predictor on the first question of each sample.

    Returns:
        `samples_per_second` of the fastest round, as other work on the machine only slows a round; and `gflops` of one
        forward pass for a network.
    """
    images, questions = [s.image for s in samples], [s.questions[0] for s in samples]
    predictor.predict(images, questions)
    rounds, total, fastest = 0, 0.0, math.inf
    while rounds < FEWEST_ROUNDS or total < SECONDS:
        began = time.perf_counter()
        predictor.predict(images, questions)
        took = time.perf_counter() - began
        rounds, total, fastest = rounds + 1, total + took, min(fastest, took)
    measured = {"samples_per_second": len(images) / fastest}
    if isinstance(predictor, MaskPredictor):
        predictor.model.requires_grad_(False)  # the counter fails on parameters that are passed between modules
        # the counter sees attention on every device only if it is computed as matrix products
        with FlopCounterMode(display=False) as counter, torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
            predictor.predict(images[:1], questions[:1])
        measured["gflops"] = counter.get_total_flops() / 1e9
    return measured


def count_parameters(config: TrainConfig, checkpoint: Path, rows: Dataset) -> dict[str, int]:
    """Count the parameters of a trained model, with a real backward pass of its first step.

    Args:
        config: configuration of the run.
        checkpoint: folder of its final model.
        rows: training split.

    Returns:
        `parameters`, those that the pass gives a gradient other than zero, and `all_parameters`.
    """
    start = config.model.model_copy(update={"checkpoint": str(checkpoint), "vision": None})
    config = config.model_copy(update={"model": start})
    learner = build_learner(config, list)
    model = learner.model.train()
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        for _, batch in StepDataset(rows, learner, config, order_of(rows, config))[0]:
            model(**batch).loss.backward()
    parameters = list(model.parameters())
    return {
        "parameters": sum(p.numel() for p in parameters if is_reached(p)),
        "all_parameters": sum(p.numel() for p in parameters),
    }


def is_reached(parameter: nn.Parameter) -> bool:
    """Return whether a backward pass gave a parameter a gradient other than zero."""
    return parameter.grad is not None and bool(parameter.grad.any())
