"""Reading and writing of predictions."""

from earthreason.predictions.coco import PredictionRecords, from_coco, from_folder
from earthreason.predictions.reader import Predictions, PredictionsFile, open_predictions, read_predictions
from earthreason.predictions.writer import write_predictions

__all__ = [
    "PredictionRecords",
    "Predictions",
    "PredictionsFile",
    "from_coco",
    "from_folder",
    "open_predictions",
    "read_predictions",
    "write_predictions",
]
