"""PixelLM for the training loop: a new model at small width, or one from a checkpoint."""

from __future__ import annotations

from typing import Any

from transformers import CLIPVisionConfig

from ..common.languages import FOREGROUND_PRIOR, Size, TextPart, Texts, patch_of
from ..common.processing import FIXED_TEXTS
from ..training.config import TrainConfig
from ..training.learner import Learner, assemble
from .modeling import PixelLMConfig
from .predictor import PixelLMPredictor

_WIDTHS: dict[Size, tuple[int, int, int]] = {"mini": (64, 4, 64), "tiny": (192, 10, 128), "small": (256, 8, 192)}
"""Width and layers of CLIP, width of the decoder."""


def new_config(size: Size, image_size: int, text_config: Any, token_ids: list[int], head: bool) -> PixelLMConfig:
    """Configure PixelLM at small width."""
    clip, layers, decoder = _WIDTHS[size]
    patch = patch_of(image_size)
    clip_config = CLIPVisionConfig(
        hidden_size=clip,
        intermediate_size=2 * clip,
        num_hidden_layers=layers,
        num_attention_heads=4,
        image_size=image_size,
        patch_size=patch,
    )
    return PixelLMConfig(
        text_config=text_config,
        clip_config=clip_config,
        image_size=image_size,
        feature_layers=(-2, -1 - layers // 2),
        language_side=image_size // (4 * patch),
        projector_dim=2 * clip,
        decoder_dim=decoder,
        decoder_ffn=2 * decoder,
        decoder_heads=4,
        seg_token_ids=tuple(token_ids),
        no_target_head=head,
        foreground_prior=FOREGROUND_PRIOR,
    )


def build(config: TrainConfig, texts: Texts) -> Learner:
    """Build the learner for the model registry.

    Raises:
        EarthReasonError: the checkpoint or language model cannot be loaded.
    """
    settings, head = config.model, bool(config.model.architecture.no_target_head)

    def configure(text: TextPart) -> PixelLMConfig:
        return new_config(settings.size, settings.new_image_size, text.config, text.token_ids, head)

    return assemble(config, texts, PixelLMPredictor, FIXED_TEXTS, configure)
