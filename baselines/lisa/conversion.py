"""Convert published LISA checkpoints, which hold LLaMA, projector, head and SAM, but no CLIP."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from ..common.clip_sam import SAM_ENCODER, SAM_MLP, SAM_TRANSFORMER, UNUSED_BUFFERS, UNUSED_PROMPTS, ClipParts
from ..common.conversion import Report, Table, rename
from ..registry import ConversionOptions
from .modeling import LisaConfig
from .predictor import LisaPredictor, LisaProcessor

SAM = "model.visual_model."
UNUSED = re.compile(rf"model\.visual_model\.{UNUSED_PROMPTS}|{UNUSED_BUFFERS}|model\.vision_tower\..*")
"""Published names that nothing uses; weights straight from training include the frozen CLIP."""
RENAMES: Table = (
    (r"model\.(embed_tokens|layers|norm)\.", r"language_model.\1."),
    (r"model\.mm_projector\.", "projector."),
    (r"model\.text_hidden_fcs\.0\.", "query."),
    (rf"{SAM}prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix", "positions.positional_embedding"),
    (rf"{SAM}prompt_encoder\.no_mask_embed\.", "no_mask."),
    (rf"{SAM}mask_decoder\.output_upscaling\.0\.", "mask_decoder.upscale_conv1."),
    (rf"{SAM}mask_decoder\.output_upscaling\.1\.", "mask_decoder.upscale_layer_norm."),
    (rf"{SAM}mask_decoder\.output_upscaling\.3\.", "mask_decoder.upscale_conv2."),
)

USUAL_CLIP = "openai/clip-vit-large-patch14"
"""CLIP of the published models."""


def our_name(published: str) -> str:
    """Return our name of a published tensor."""
    encoder, transformer = f"{SAM}image_encoder.", f"{SAM}mask_decoder.transformer."
    mlp = re.fullmatch(rf"{SAM}mask_decoder\.(output_hypernetworks_mlps\.\d+|iou_prediction_head)\.(.*)", published)
    if mlp:
        return f"mask_decoder.{mlp[1]}.{rename(mlp[2], SAM_MLP)}"
    if published.startswith(encoder):
        return "vision_tower.sam." + rename(published.removeprefix(encoder), SAM_ENCODER)
    if published.startswith(transformer):
        return "mask_decoder.transformer." + rename(published.removeprefix(transformer), SAM_TRANSFORMER)
    renamed = rename(published, RENAMES)
    return renamed.replace(SAM, "", 1) if renamed.startswith(SAM) else renamed


def convert_published(
    source: Path, clip: str | Path, target: Path, dtype: str = "float32", config: LisaConfig | None = None
) -> Report:
    """Convert a published folder, such as `xinlai/LISA-7B-v1`, and its CLIP into our format.

    Args:
        source: folder with weight shards, config.json and tokenizer.
        clip: folder or Hub id of the CLIP, which the published files leave out.
        target: folder to write; must not exist, or be empty.
        dtype: name of the dtype to write.
        config: configuration of the model, if it is not the published one.

    Raises:
        EarthReasonError: names or shapes are not as expected (all listed), or a file is missing.
    """
    parts = ClipParts.load(source, clip)
    config = config or LisaConfig(
        text_config=parts.text, clip_config=parts.tower.config, seg_token_id=parts.ids(LisaProcessor.tokens)[0]
    )
    config.wording = "published"
    given = parts.tower_weights("vision_tower.clip")

    def translate(name: str, tensor: Tensor) -> dict[str, Tensor]:
        return {our_name(name): tensor}

    return parts.convert("LISA", LisaPredictor, config, given, translate, UNUSED, target, dtype)


def convert(options: ConversionOptions) -> Report:
    """Convert a published checkpoint for the model registry."""
    clip = options.clip or USUAL_CLIP
    return convert_published(Path(options.source), clip, options.target, options.dtype)
