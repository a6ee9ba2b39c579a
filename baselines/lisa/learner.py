"""LISA for the training loop: a new model at small width, or one from a checkpoint."""

from __future__ import annotations

from transformers import CLIPVisionConfig, SamConfig

from ..common.languages import FOREGROUND_PRIOR, Size, TextPart, Texts, patch_of
from ..common.processing import FIXED_TEXTS
from ..training.config import TrainConfig
from ..training.learner import Learner, assemble
from .modeling import LisaConfig
from .predictor import LisaPredictor

_WIDTHS: dict[Size, tuple[int, int, int, int, int]] = {
    "mini": (32, 2, 48, 2, 48),
    "tiny": (96, 4, 192, 11, 128),
    "small": (128, 6, 256, 8, 192),
}
"""Width and layers of CLIP, width and layers of SAM's encoder, width of its decoder."""


def new_config(size: Size, image_size: int, text_config: object, seg_token_id: int, no_target_head: bool) -> LisaConfig:
    """Configure LISA at small width.

    The defaults of SAM's initialisation and position frequencies in transformers suit only models that load weights:
    with initial weights of 1e-10, all images look the same.
    """
    clip, clip_layers, sam, sam_layers, decoder = _WIDTHS[size]
    patch = patch_of(image_size)
    clip_config = CLIPVisionConfig(
        hidden_size=clip,
        intermediate_size=2 * clip,
        num_hidden_layers=clip_layers,
        num_attention_heads=4,
        image_size=image_size // 2,
        patch_size=2 * patch,
    )
    sam_encoder = {
        "hidden_size": sam,
        "num_hidden_layers": sam_layers,
        "num_attention_heads": 4,
        "mlp_dim": 2 * sam,
        "image_size": image_size,
        "patch_size": patch,
        "initializer_range": 0.02,
        "scale": 1.0,
        "output_channels": decoder,
        "num_pos_feats": decoder // 2,
        "window_size": 8,
        "global_attn_indexes": [sam_layers // 2, sam_layers - 1],
    }
    sam_decoder = {
        "hidden_size": decoder,
        "mlp_dim": 2 * decoder,
        "num_attention_heads": 4,
        "iou_head_hidden_dim": decoder,
    }
    sam_config = SamConfig(
        vision_config=sam_encoder,
        prompt_encoder_config={"hidden_size": decoder, "image_size": image_size},
        mask_decoder_config=sam_decoder,
    )
    return LisaConfig(
        text_config=text_config,  # type: ignore[arg-type]
        clip_config=clip_config,
        sam_config=sam_config,
        seg_token_id=seg_token_id,
        no_target_head=no_target_head,
        foreground_prior=FOREGROUND_PRIOR,
    )


def build(config: TrainConfig, texts: Texts) -> Learner:
    """Build the learner for the model registry.

    Raises:
        EarthReasonError: the checkpoint or language model cannot be loaded.
    """
    settings, head = config.model, bool(config.model.architecture.no_target_head)

    def configure(text: TextPart) -> LisaConfig:
        return new_config(settings.size, settings.new_image_size, text.config, text.token_ids[0], head)

    return assemble(config, texts, LisaPredictor, FIXED_TEXTS, configure)
