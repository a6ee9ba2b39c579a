"""Published LISA checkpoints turned into ours: LLaMA, projector, head and SAM, but no CLIP."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from baselines.common.clip_sam import SAM_ENCODER, SAM_MLP, SAM_TRANSFORMER, UNUSED_BUFFERS, UNUSED_PROMPTS, ClipParts
from baselines.common.conversion import Report, Table, rename
from baselines.lisa.modeling import LisaConfig
from baselines.lisa.predictor import LisaPredictor, LisaProcessor
from baselines.registry import ConversionOptions

_SAM = "model.visual_model."
UNUSED = re.compile(rf"model\.visual_model\.{UNUSED_PROMPTS}|{UNUSED_BUFFERS}")
RENAMES: Table = (
    (r"model\.(embed_tokens|layers|norm)\.", r"language_model.\1."),
    (r"model\.mm_projector\.", "projector."),
    (r"model\.text_hidden_fcs\.0\.", "query."),
    (rf"{_SAM}prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix", "positions.positional_embedding"),
    (rf"{_SAM}prompt_encoder\.no_mask_embed\.", "no_mask."),
    (rf"{_SAM}mask_decoder\.output_upscaling\.0\.", "mask_decoder.upscale_conv1."),
    (rf"{_SAM}mask_decoder\.output_upscaling\.1\.", "mask_decoder.upscale_layer_norm."),
    (rf"{_SAM}mask_decoder\.output_upscaling\.3\.", "mask_decoder.upscale_conv2."),
)

USUAL_CLIP = "openai/clip-vit-large-patch14"
"""The CLIP that the published models were made with."""


def our_name(published: str) -> str:
    """Our name of a published tensor."""
    encoder, transformer = f"{_SAM}image_encoder.", f"{_SAM}mask_decoder.transformer."
    mlp = re.fullmatch(rf"{_SAM}mask_decoder\.(output_hypernetworks_mlps\.\d+|iou_prediction_head)\.(.*)", published)
    if mlp:
        return f"mask_decoder.{mlp[1]}.{rename(mlp[2], SAM_MLP)}"
    if published.startswith(encoder):
        return "vision_tower.sam." + rename(published.removeprefix(encoder), SAM_ENCODER)
    if published.startswith(transformer):
        return "mask_decoder.transformer." + rename(published.removeprefix(transformer), SAM_TRANSFORMER)
    renamed = rename(published, RENAMES)
    return renamed.replace(_SAM, "", 1) if renamed.startswith(_SAM) else renamed


def convert_published(
    source: Path, clip: str | Path, target: Path, dtype: str = "float32", config: LisaConfig | None = None
) -> Report:
    """Turn a published folder (`xinlai/LISA-7B-v1`) and its CLIP (`openai/clip-vit-large-patch14`) into a checkpoint.

    Args:
        source: folder with shards, config.json and tokenizer.
        clip: folder or Hub id of the CLIP that LISA keeps out of its files.
        target: folder to write; must not exist.
        dtype: of the weights written.
        config: of the model, where SAM or CLIP are not of the published size.

    Raises:
        EarthReasonError: a name or shape is not as expected (all of them listed), or a file is missing.
    """
    parts = ClipParts.load(source, clip)
    config = config or LisaConfig(
        text_config=parts.text, clip_config=parts.tower.config, seg_token_id=parts.ids(LisaProcessor.tokens)[0]
    )
    given = parts.tower_weights("vision_tower.clip")

    def translate(name: str, tensor: Tensor) -> dict[str, Tensor]:
        return {our_name(name): tensor}

    return parts.convert("LISA", LisaPredictor, config, given, translate, UNUSED, target, dtype)


def convert(options: ConversionOptions) -> Report:
    """Convert as the command line asks."""
    clip = options.clip or USUAL_CLIP
    return convert_published(Path(options.source), clip, options.target, options.dtype)
