"""Validation during training: official scores, no-target threshold and pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earthreason.data.load import load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.masks.rle import decode_rle
from earthreason.metrics.evaluate import evaluate
from earthreason.metrics.scores import WITH_TARGETS
from earthreason.metrics.truth import references_of
from earthreason.predictions.predict import predict_samples
from earthreason.reports.grid import Answer, save_grid
from earthreason.types import Predictor

from ..common.predictor import MaskPredictor
from .calibration import Recorder, choose_threshold
from .config import TrainConfig

if TYPE_CHECKING:
    from datasets import Dataset

SHOWN = 8
"""Number of samples in a picture."""


@dataclass(frozen=True)
class Look:
    """Result of a validation.

    Attributes:
        scores: gIoU, cIoU, N-acc and T-acc of the official protocol, and gIoU of the questions with a target.
        threshold: chosen no-target threshold; None if the model has no no-target head or none can be chosen.
    """

    scores: dict[str, float | None]
    threshold: float | None


class ModelValidation:
    """Validates on a part of the validation split."""

    def __init__(self, config: TrainConfig) -> None:
        """Load samples, evenly spaced in the split unless it is a slice.

        Raises:
            EarthReasonError: the split does not exist.
        """
        split = config.data.validation
        rows: Dataset = load_dataset("earthreason", config.data.config, split=split, data_dir=config.data.data_dir)
        rows = rows if "[" in split else spread(rows, config.validation_samples)
        self.rows, self.references, self.batch = rows, references_of(rows, split), config.optim.micro_batch

    def look(self, predictor: MaskPredictor[Any]) -> Look:
        """Predict, choose a no-target threshold if the model has a no-target head, and score with it.

        Sets the predictor's threshold if one can be chosen. It is chosen on the scored samples, so N-acc and T-acc are
        slightly better here than on other data.
        """
        calibrates = bool(getattr(predictor.model.config, "no_target_head", False))
        before = predictor.no_target_threshold
        recorder = Recorder(predictor) if calibrates else None
        samples = map(sample_of_row, self.rows)
        predictions = list(predict_samples(recorder or predictor, samples, "first", self.batch))
        threshold = None
        if recorder is not None:
            scores, is_empty = np.asarray(recorder.scores), np.asarray(self.rows["is_empty"], dtype=bool)
            has_mask = np.asarray([prediction.segmentation is not None for prediction in predictions])
            threshold = choose_threshold(scores, is_empty, has_mask)
            predictor.no_target_threshold = before if threshold is None else threshold
            predictions = [
                replace(prediction, segmentation=None) if score > predictor.no_target_threshold else prediction
                for prediction, score in zip(predictions, recorder.scores, strict=True)
            ]
        result = evaluate(predictions, self.references, resamples=0)
        return Look({name: result[name] for name in WITH_TARGETS}, threshold)

    @property
    def facts(self) -> dict[str, int]:
        """Numbers of samples and of empty targets."""
        return {"samples": len(self.rows), "empties": int(sum(self.rows["is_empty"]))}

    def draw(self, predictor: Predictor, path: Path, name: str) -> None:
        """Draw some samples with ground truth and answer to a file."""
        rows = spread(self.rows, SHOWN)
        samples = [sample_of_row(row) for row in rows]
        predictions = list(predict_samples(predictor, iter(samples), "first", self.batch))
        table = evaluate(predictions, references_of(rows, "shown"), resamples=0).per_sample
        iou = table.set_index("sample_id")["iou"]
        masks = [None if p.segmentation is None else decode_rle(p.segmentation) for p in predictions]
        rows_of_grid = [
            (sample, [Answer(name, mask, float(iou[sample.sample_id]))])
            for sample, mask in zip(samples, masks, strict=True)
        ]
        save_grid(path, rows_of_grid)


def spread(rows: Dataset, count: int) -> Dataset:
    """Select at most `count` rows, evenly spaced."""
    if len(rows) <= count:
        return rows
    return rows.select(np.linspace(0, len(rows) - 1, count).round().astype(int).tolist())
