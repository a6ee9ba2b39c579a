"""SegEarth-R1 for the training loop: a new model at small width, or one from a checkpoint."""

from __future__ import annotations

from baselines.common.languages import TextPart, Texts
from baselines.segearth_r1.configuration import SegEarthR1Config
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.segearth_r1.prompt import fixed_texts
from baselines.segearth_r1.tiny import parts_of
from baselines.training.config import TrainConfig
from baselines.training.learner import Learner, assemble


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
