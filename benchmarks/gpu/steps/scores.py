"""Score `tiny` on unseen scenes, at the threshold chosen on validation, at a fixed one, and over all thresholds.

"sample" is the built-in test split. The other scenes are new: some have the wordings of training, the others have other
wordings and include four categories that training never shows. Together they have about 300 empty targets.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.training.calibration import FLOOR, Recorder, roc
from benchmarks.gpu.context import Context, read_context
from benchmarks.gpu.steps.train_tiny import RUN
from earthreason import evaluate, load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.metrics.scores import IOU_AND_PRESENCE
from earthreason.predictions.predict import predict_samples
from earthreason.types import Prediction

if TYPE_CHECKING:
    from datasets import Dataset

_SHOWN = 60
"""Number of points of the curve to record."""


def main(context: Context) -> None:
    predictor = SegEarthR1Predictor.from_pretrained(context.work / RUN / "final", context.device, batch_size=64)
    threshold = predictor.no_target_threshold
    scenes = context.work / "scenes" / "evaluation"
    sets = {
        "sample, test": load_dataset("earthreason", "sample", split="test[:8]" if context.toy else "test"),
        "wordings of training": load_dataset("earthreason", split="train", data_dir=scenes),
        "other wordings": load_dataset("earthreason", split="test", data_dir=scenes),
    }
    answered = {name: _answer(predictor, rows) for name, rows in sets.items()}
    answered["all fresh scenes"] = [
        part_a + part_b
        for part_a, part_b in zip(answered["wordings of training"], answered["other wordings"], strict=True)
    ]
    for name, (predictions, scores, empty, truths) in answered.items():
        for kind, value in (("chosen on validation", threshold), ("fixed", 0.5)):
            decided = [
                replace(prediction, segmentation=None) if score > value else prediction
                for prediction, score in zip(predictions, scores, strict=True)
            ]
            result = evaluate(decided, dict(truths))
            interval = result.intervals.get("gIoU")
            values = {key: result[key] for key in IOU_AND_PRESENCE}
            context.row(
                set=name,
                count=len(decided),
                empties=sum(empty),
                threshold=round(value, 4),
                rule=kind,
                low=None if interval is None else interval.low,
                high=None if interval is None else interval.high,
                **values,
            )
        if all(empty) or not any(empty):
            continue
        has_mask = np.asarray([prediction.segmentation is not None for prediction in predictions])
        curve = roc(np.asarray(scores), np.asarray(empty), has_mask)
        best = curve[curve[:, 2] >= FLOOR][:, 1].max(initial=0.0)
        context.row(set=name, n_acc_at_t_acc_90=float(best), empties=sum(empty))
        shown = curve[np.unique(np.linspace(0, len(curve) - 1, _SHOWN).round().astype(int))]
        context.row(set=name, roc=[[float(n), float(t)] for _, n, t in shown])


def _answer(predictor: SegEarthR1Predictor, rows: Dataset) -> list[list]:
    """Return predictions before any threshold, their no-target scores, emptiness, and truths by sample id."""
    samples = [sample_of_row(row) for row in rows]
    recorder = Recorder(predictor)
    predictions: list[Prediction] = list(predict_samples(recorder, samples, "first", 256))
    truths = [(sample.sample_id, sample.mask) for sample in samples]
    return [predictions, recorder.scores, [sample.is_empty for sample in samples], truths]


if __name__ == "__main__":
    main(read_context())
