"""PSALM for the training loop: a new model at small width, or one from a checkpoint."""

from __future__ import annotations

from typing import Any

from baselines.common.languages import Size, TextPart, Texts
from baselines.psalm.modeling import PsalmConfig
from baselines.psalm.predictor import FIXED_TEXTS, PsalmPredictor
from baselines.segearth_r1.tiny import parts_of
from baselines.training.config import TrainConfig
from baselines.training.learner import Learner, assemble

_DEEPER: dict[Size, dict[str, Any]] = {"mini": {}, "tiny": {"vision_depths": (2, 2, 6, 2)}, "small": {}}
"""Changes to the image encoder; at `tiny` they replace the size of the output layer, which PSALM lacks."""
_QUERIES: dict[Size, int] = {"mini": 8, "tiny": 16, "small": 32}


def build(config: TrainConfig, texts: Texts) -> Learner:
    """Build the learner for the model registry.

    Raises:
        EarthReasonError: the checkpoint or language model cannot be loaded.
    """
    settings = config.model
    changes = {**_DEEPER[settings.size], **settings.architecture.model_dump(exclude_none=True)}

    def configure(text: TextPart) -> PsalmConfig:
        return PsalmConfig(
            queries=_QUERIES[settings.size],
            text_config=text.config,
            image_size=settings.new_image_size,
            seg_token_id=text.token_ids[0],
            **parts_of(settings.size, **changes),
        )

    return assemble(config, texts, PsalmPredictor, FIXED_TEXTS, configure)
