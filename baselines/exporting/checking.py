"""Compare an exported model with the model that it was made from, on real pictures and questions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from earthreason.errors import EarthReasonError
from earthreason.torch import restore_logits
from earthreason.types import Sample

from ..common.predictor import MaskPredictor
from .network import INPUTS, Network
from .standalone import ExportedModel

TOLERANCES = {"float32": 1e-3, "float16": 0.1, "bfloat16": 0.1}
"""Greatest difference of a logit, as a share of the largest magnitude of a logit, by dtype of the weights."""
PIXEL_SHARES = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 1e-2}
"""Greatest share of mask pixels that differ, by dtype of the weights."""
_ROUNDS = 3


@dataclass(frozen=True)
class Comparison:
    """Differences between an exported model and its source.

    Attributes:
        questions: number of questions asked.
        logit: greatest absolute difference of a mask or presence logit.
        largest: largest magnitude of a logit of the source.
        differing: mask pixels that differ, at the size of the images.
        pixels: mask pixels compared.
        torch_seconds: seconds per question of the source, the median of the rounds.
        export_seconds: seconds per question of the exported model.
    """

    questions: int
    logit: float
    largest: float
    differing: int
    pixels: int
    torch_seconds: float
    export_seconds: float

    def check(self, dtype: str) -> None:
        """Refuse differences above the tolerances of a dtype.

        Raises:
            EarthReasonError: a logit or too many pixels differ.
        """
        allowed = TOLERANCES[dtype] * max(1.0, self.largest)
        if not self.logit <= allowed:  # also where it is no number
            raise EarthReasonError(
                f"the exported model differs from the checkpoint: a logit by {self.logit:.3g}, allowed are "
                f"{allowed:.3g}; nothing is written"
            )
        if self.differing > PIXEL_SHARES[dtype] * self.pixels:
            raise EarthReasonError(
                f"the exported model differs from the checkpoint: {self.differing:,} of {self.pixels:,} mask pixels, "
                f"allowed are {PIXEL_SHARES[dtype]:.2%}; nothing is written"
            )


def compare_models(
    exported: ExportedModel,
    predictor: MaskPredictor[Any],
    network: Network,
    samples: Sequence[Sample],
) -> Comparison:
    """Ask both the first question of each sample, all in one batch and the first sample alone.

    Raises:
        EarthReasonError: the inputs that the exported model prepares differ from those of the checkpoint.
    """
    everything = _Differences()
    times: list[tuple[float, float]] = []
    for part in (samples, samples[:1]):
        images, questions = [sample.image for sample in part], [sample.questions[0] for sample in part]
        theirs = exported.prepare(images, questions)
        ours = _source_inputs(predictor, part)
        for name in INPUTS:
            if not np.array_equal(theirs[name], ours[name]):
                raise EarthReasonError(f"the exported model prepares other {name} than the checkpoint does")
        for _ in range(_ROUNDS):
            expected, first = _timed(partial(_run, network, ours))
            found, second = _timed(partial(exported.run, theirs))
            if part is samples:
                times.append((first / len(part), second / len(part)))
        everything.add(exported, part, expected, found)
    torch_seconds, export_seconds = np.median(np.array(times), axis=0)
    return Comparison(
        everything.questions,
        everything.logit,
        everything.largest,
        everything.differing,
        everything.pixels,
        float(torch_seconds),
        float(export_seconds),
    )


class _Differences:
    def __init__(self) -> None:
        self.questions = self.differing = self.pixels = 0
        self.logit = self.largest = 0.0

    def add(
        self, exported: ExportedModel, part: Sequence[Sample], expected: list[np.ndarray], found: list[np.ndarray]
    ) -> None:
        for theirs, ours in zip(found, expected, strict=True):
            self.logit = float(np.maximum(self.logit, np.abs(theirs - ours).max()))
            self.largest = max(self.largest, float(np.abs(ours[np.isfinite(ours)]).max()))
        for number, sample in enumerate(part):
            size = (sample.image.height, sample.image.width)
            truth = restore_logits(torch.from_numpy(expected[0][number]), exported.side, *size).numpy() > 0
            mask = exported.restore(found[0][number], *size) > 0
            self.differing += int((truth != mask).sum())
            self.pixels += mask.size
        self.questions += len(part)


def _source_inputs(predictor: MaskPredictor[Any], part: Sequence[Sample]) -> dict[str, np.ndarray]:
    processor = predictor.processor
    text = processor.pad([processor.prompt(sample.questions[0], predictor.task) for sample in part])
    pixels = processor.pixels([sample.image for sample in part])
    return {"pixels": pixels.numpy(), **{name: text[name].numpy() for name in INPUTS[1:]}}


def _run(network: Network, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    with torch.inference_mode():
        return [tensor.numpy() for tensor in network(*(torch.from_numpy(inputs[name]) for name in INPUTS))]


def _timed(call: Callable[[], list[np.ndarray]]) -> tuple[list[np.ndarray], float]:
    start = time.perf_counter()
    return call(), time.perf_counter() - start
