"""SegEarth-R1 as the training loop sees it."""

from __future__ import annotations

from typing import Any

import torch

from baselines.common.languages import Texts, make_text
from baselines.segearth_r1.configuration import SegEarthR1Config
from baselines.segearth_r1.modeling import SegEarthR1Model
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.segearth_r1.processing import SegEarthR1Processor
from baselines.segearth_r1.prompt import fixed_texts
from baselines.segearth_r1.tiny import parts_of
from baselines.training.config import ModelConfig, TrainConfig
from baselines.training.learner import Learner


def build(config: TrainConfig, texts: Texts) -> Learner:
    """Entry of the learner registry.

    Raises:
        EarthReasonError: the checkpoint or language model cannot be loaded.
    """
    if config.model.checkpoint is not None:
        loaded = SegEarthR1Predictor.from_pretrained(config.model.checkpoint)
        return Learner(loaded.model, loaded.processor, SegEarthR1Predictor, config)
    model, processor = make_model(config.model, texts, config.seed)
    return Learner(model, processor, SegEarthR1Predictor, config)


def make_model(settings: ModelConfig, texts: Texts, seed: int) -> tuple[SegEarthR1Model, SegEarthR1Processor]:
    """A new model: from scratch, or around a pretrained language model.

    Raises:
        EarthReasonError: the language model cannot be loaded.
    """
    changes: dict[str, Any] = settings.architecture.model_dump(exclude_none=True)
    text = make_text(settings, SegEarthR1Processor.tokens, fixed_texts(), texts)
    config = SegEarthR1Config(
        text_config=text.config, image_size=settings.image_size, seg_token_id=text.token_ids[0],
        **parts_of(settings.size, **changes),
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = SegEarthR1Model(config)
    text.load_into(model)
    return model, SegEarthR1Processor.for_model(config, text.tokenizer)
