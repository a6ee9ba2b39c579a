"""LISA as a Predictor: images and questions in, masks out."""

from __future__ import annotations

from ..common.predictor import MaskPredictor
from ..common.processing import DialogueProcessor
from .modeling import LisaModel


class LisaProcessor(DialogueProcessor):
    """Writes conversations with one `[SEG]`."""


class LisaPredictor(MaskPredictor[LisaModel]):
    """LISA as a Predictor."""

    model_class = LisaModel
    processor_class = LisaProcessor
