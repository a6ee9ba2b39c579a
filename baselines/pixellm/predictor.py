"""PixelLM as a Predictor: images and questions in, masks out."""

from __future__ import annotations

from ..common.predictor import MaskPredictor
from ..common.processing import DialogueProcessor
from .modeling import PixelLMModel


class PixelLMProcessor(DialogueProcessor):
    """Writes conversations with the six codebook tokens."""

    tokens = tuple(f"[SEG{n}]" for n in range(6))


class PixelLMPredictor(MaskPredictor[PixelLMModel]):
    """PixelLM as a Predictor."""

    model_class = PixelLMModel
    processor_class = PixelLMProcessor
