"""SegEarth-R1 for the training loop: a new model at small width, or one from a checkpoint."""

from __future__ import annotations

from ..common.languages import TextPart, Texts
from ..training.config import TrainConfig
from ..training.learner import Learner, assemble
from .configuration import SegEarthR1Config
from .predictor import SegEarthR1Predictor
from .prompt import fixed_texts
from .tiny import parts_of


def build(config: TrainConfig, texts: Texts) -> Learner:
    """Build the learner for the model registry.

    Raises:
        EarthReasonError: the checkpoint or language model cannot be loaded.
    """
    settings = config.model
    changes = settings.architecture.model_dump(exclude_none=True)

    def configure(text: TextPart) -> SegEarthR1Config:
        return SegEarthR1Config(
            text_config=text.config,
            image_size=settings.new_image_size,
            seg_token_id=text.token_ids[0],
            **parts_of(settings.size, **changes),
        )

    return assemble(config, texts, SegEarthR1Predictor, fixed_texts(config.data.task), configure)
