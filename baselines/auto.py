"""Register the models of this package with transformers, so that `AutoModel.from_pretrained` loads their checkpoints.

`import earthreason_baselines.auto` is enough: it registers the configuration, model and processor of each.
"""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, AutoModel, AutoProcessor

from .common.predictor import MaskPredictor
from .lisa.predictor import LisaPredictor
from .pixellm.predictor import PixelLMPredictor
from .psalm.predictor import PsalmPredictor
from .segearth_r1.predictor import SegEarthR1Predictor

PREDICTORS: tuple[type[MaskPredictor[Any]], ...] = (
    SegEarthR1Predictor,
    PsalmPredictor,
    LisaPredictor,
    PixelLMPredictor,
)
"""Predictors whose models, configurations and processors are registered."""


def register_models() -> None:
    """Register the configuration, model and processor of each predictor; a second call changes nothing."""
    for predictor in PREDICTORS:
        config: Any = predictor.model_class.config_class
        AutoConfig.register(config.model_type, config, exist_ok=True)
        AutoModel.register(config, predictor.model_class, exist_ok=True)
        AutoProcessor.register(config, predictor.processor_class, exist_ok=True)


register_models()
