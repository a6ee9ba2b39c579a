"""How good a model is during training, by the judge, and how its answers look."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from baselines.training.config import TrainConfig
from earthreason.data.load import load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.data.truth import references_of
from earthreason.masks.rle import decode_rle
from earthreason.metrics.evaluate import evaluate
from earthreason.predictions.predict import predict_samples
from earthreason.reports.grid import Answer, save_grid
from earthreason.types import Predictor

if TYPE_CHECKING:
    from datasets import Dataset

SHOWN = 8
"""Samples in a picture."""


class Validation:
    """Some samples of the validation split."""

    def __init__(self, config: TrainConfig) -> None:
        """Load them, spread evenly over the split unless it is a slice already.

        Raises:
            EarthReasonError: there is no such split.
        """
        split = config.data.validation
        rows: Dataset = load_dataset("earthreason", config.data.config, split=split, data_dir=config.data.data_dir)
        rows = rows if "[" in split else spread(rows, config.validation_samples)
        self.rows, self.references, self.batch = rows, references_of(rows, split), config.optim.micro_batch

    def score(self, predictor: Predictor) -> dict[str, float | None]:
        """gIoU, cIoU, N-acc and T-acc of the official protocol."""
        predictions = list(predict_samples(predictor, map(sample_of_row, self.rows), "first", self.batch))
        result = evaluate(predictions, self.references, resamples=0)
        return {name: result[name] for name in ("gIoU", "cIoU", "N-acc", "T-acc")}

    def draw(self, predictor: Predictor, path: Path, name: str) -> None:
        """Write a picture of some samples with truth and answer."""
        rows = spread(self.rows, SHOWN)
        samples = [sample_of_row(row) for row in rows]
        predictions = list(predict_samples(predictor, iter(samples), "first", self.batch))
        table = evaluate(predictions, references_of(rows, "shown"), resamples=0).per_sample
        iou = table.set_index("sample_id")["iou"]
        masks = [None if p.segmentation is None else decode_rle(p.segmentation) for p in predictions]
        save_grid(path, [
            (sample, [Answer(name, mask, float(iou[sample.sample_id]))])
            for sample, mask in zip(samples, masks, strict=True)
        ])  # fmt: skip


def spread(rows: Dataset, count: int) -> Dataset:
    """At most `count` rows, evenly over all."""
    if len(rows) <= count:
        return rows
    return rows.select(np.linspace(0, len(rows) - 1, count).round().astype(int).tolist())
