"""PSALM for the training loop: a new model at small width, or one from a checkpoint."""

from __future__ import annotations

from typing import Any

from ..common.languages import Size, TextPart, Texts
from ..segearth_r1.tiny import parts_of
from ..training.config import TrainConfig
from ..training.learner import Learner, assemble
from .modeling import PsalmConfig
from .predictor import FIXED_TEXTS, PsalmPredictor

_PARTS: dict[Size, dict[str, Any]] = {
    "mini": {"queries": 8, "connector_dim": 64},
    "tiny": {"queries": 16, "connector_dim": 448},
    "small": {"queries": 32, "connector_dim": 256},
}
"""Settings besides those of SegEarth-R1; the connector makes up for the output layer of words, which PSALM lacks."""


def build(config: TrainConfig, texts: Texts) -> Learner:
    """Build the learner for the model registry.

    Raises:
        EarthReasonError: the checkpoint or language model cannot be loaded.
    """
    settings = config.model
    changes = {**_PARTS[settings.size], **settings.architecture.model_dump(exclude_none=True)}

    def configure(text: TextPart) -> PsalmConfig:
        return PsalmConfig(
            text_config=text.config,
            image_size=settings.new_image_size,
            seg_token_id=text.token_ids[0],
            **parts_of(settings.size, **changes),
        )

    return assemble(config, texts, PsalmPredictor, FIXED_TEXTS, configure)
