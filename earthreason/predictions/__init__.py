"""Reading and writing of predictions."""

from earthreason.predictions.reader import Predictions, PredictionsFile, open_predictions, read_predictions
from earthreason.predictions.writer import write_predictions

__all__ = ["Predictions", "PredictionsFile", "open_predictions", "read_predictions", "write_predictions"]
